"""The whole system, started and stopped by its own commands in a project of its own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from refinery import state
from refinery.addresses import resolve
from refinery.processes import marked, working_in
from refinery.settings import Settings
from tests.support.clusters import temporary_folder

ROOT = Path(__file__).parents[4]
PATIENCE_S = 240.0
NOBODY = "http://127.0.0.1:9"  # a proxy that takes no call: nothing of ours may ask it

FLOW = """\
from prefect import flow


@flow
async def hello() -> None:
    pass
"""
PREFECT = """\
name: scratch
pull:
  - prefect.deployments.steps.set_working_directory: {directory: "."}
deployments:
  - name: hello
    entrypoint: flows/hello.py:hello
    work_pool: {name: "{{ $REFINERY_WORK_POOL }}"}
"""


@dataclass
class Project:
    """A scratch project, and its `refinery` command."""

    folder: Path
    environment: dict[str, str]

    @property
    def settings(self) -> Settings:
        return Settings.load(self.folder, self.environment)

    @property
    def now(self) -> state.SystemState:
        return state.read(self.settings)

    def refinery(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "refinery.cli", *words],
            cwd=self.folder,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    @property
    def prefect_headers(self) -> dict[str, str]:
        return resolve(self.settings, self.now.ports).prefect_headers

    def url(self, name: str, path: str) -> str:
        return str(getattr(resolve(self.settings, self.now.ports), name)) + path


@pytest.fixture
def project() -> Iterator[Project]:
    with temporary_folder() as folder:
        (folder / "flows").mkdir()
        (folder / "flows" / "hello.py").write_text(FLOW)
        (folder / "prefect.yaml").write_text(PREFECT)
        written = ROOT / "deployments"
        shutil.copytree(written / "pipelines", folder / "deployments" / "pipelines")
        shutil.copy(written / "workstations.yaml", folder / "deployments")
        made = Project(
            folder,
            {
                "REFINERY_POSTGRES_HOME": str(folder / "pg"),
                "REFINERY_PROJECT": "test",
                "REFINERY_N_DRIVE": str(folder / "N drive æ"),
                "HTTP_PROXY": NOBODY,
                "HTTPS_PROXY": NOBODY,
            },
        )
        (folder / "N drive æ").mkdir()
        try:
            yield made
        finally:
            made.refinery("stop")


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.timeout(900)
def test_it_comes_up_survives_kills_and_goes_down(project: Project) -> None:
    started = project.refinery("up", "--detach")
    assert started.returncode == 0, started.stderr
    assert "prefect is up" in started.stdout, "what the start says is passed on"
    check_that_everything_answers(project)
    check_that_no_argv_holds_the_password(project)
    check_that_a_second_up_says_so(project)
    check_that_a_folder_is_registered_by_hand(project)
    check_that_a_killed_service_returns(project)
    add_a_deployment_of_somebody_else(project)
    check_that_a_killed_supervisor_leaves_nothing_that_stop_does_not_end(project)
    rename_our_deployment(project)
    again = project.refinery("up", "--detach")
    assert again.returncode == 0, again.stderr
    check_that_everything_answers(project, "hello-again", "theirs")
    have_a_later_release_migrate(project)
    stopped = project.refinery("stop")
    assert (stopped.returncode, stopped.stdout.splitlines()[-1]) == (0, "stopped")
    check_that_nothing_is_left(project)
    assert project.refinery("stop").stdout.strip() == "nothing was running"
    check_that_an_older_release_refuses_and_does_nothing(project)


def check_that_everything_answers(project: Project, *deployments: str) -> None:
    for name, path in (
        ("prefect", "/api/health"),
        ("clusters", "/health"),
        ("workstations", "/health"),
        ("board", "/health"),
        ("ars", "/ars/actuator/health"),
    ):
        assert httpx.get(project.url(name, path), timeout=60).status_code == 200
    path, who = project.url("prefect", "/api/deployments/filter"), project.prefect_headers
    assert httpx.post(path, json={}, timeout=60).status_code == 401, "anybody is let in"
    found = httpx.post(path, json={}, headers=who, timeout=60).json()
    assert sorted(each["name"] for each in found) == [*(deployments or ["hello"])]
    assert {each["work_pool_name"] for each in found if each["name"] != "theirs"} == {
        "refinery-test"
    }
    doctor = project.refinery("doctor")
    assert doctor.returncode == 0, doctor.stdout
    counted = project.refinery("psql", "-Atc", "SELECT count(*) > 0 FROM track.pipeline")
    assert counted.stdout.strip() == "t", counted.stderr


def check_that_a_folder_is_registered_by_hand(project: Project) -> None:
    """A document without its image, which the watch would wait for longer than we do."""
    folder = project.settings.n_drive / "WORKHERB0001" / "2026-11-28"
    folder.mkdir(parents=True)
    (folder / "a.json").write_text("{}")
    told = [project.refinery("register", str(folder)) for _ in range(2)]
    assert "opened" in told[0].stdout, told[0].stderr
    assert "known already, exactly as it lies there" in told[1].stdout, told[1].stderr
    asked = "SELECT actor FROM track.history WHERE what = 'session.opened'"
    assert project.refinery("psql", "-Atc", asked).stdout.strip() == "refinery register"


def check_that_no_argv_holds_the_password(project: Project) -> None:
    password = (project.settings.state / "pg" / "pgpass").read_text().strip().rpartition(":")[2]
    for process in psutil.process_iter(["cmdline"]):
        assert password not in " ".join(process.info["cmdline"] or [])
    for log in project.settings.logs.glob("*.log"):
        assert password not in log.read_text()


def check_that_a_second_up_says_so(project: Project) -> None:
    second = project.refinery("up")
    assert second.returncode == 1
    assert "runs already" in second.stderr


def check_that_a_killed_service_returns(project: Project) -> None:
    first = project.now.services["watch"]
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: project.now.services.get("watch") not in (None, first))


def check_that_a_killed_supervisor_leaves_nothing_that_stop_does_not_end(
    project: Project,
) -> None:
    supervisor = project.now.supervisor
    assert supervisor is not None
    supervisor.send(signal.SIGKILL)
    until(lambda: not supervisor.alive())
    assert marked(state.mark(project.settings))
    assert project.refinery("stop").stdout.splitlines()[-1] == "stopped"
    check_that_nothing_is_left(project)


def add_a_deployment_of_somebody_else(project: Project) -> None:
    url, who = project.url("prefect", "/api/deployments"), project.prefect_headers
    (ours,) = httpx.post(f"{url}/filter", json={}, headers=who, timeout=60).json()
    theirs = {"name": "theirs", "flow_id": ours["flow_id"], "entrypoint": ours["entrypoint"]}
    httpx.post(f"{url}/", json=theirs, headers=who, timeout=60).raise_for_status()


def rename_our_deployment(project: Project) -> None:
    """As a later release may."""
    renamed = PREFECT.replace("- name: hello", "- name: hello-again")
    (project.folder / "prefect.yaml").write_text(renamed)


def have_a_later_release_migrate(project: Project) -> None:
    changed = "UPDATE alembic_version SET version_num = '9999'"
    done = project.refinery("psql", "-c", changed)
    assert done.returncode == 0, done.stderr


def check_that_an_older_release_refuses_and_does_nothing(project: Project) -> None:
    log = project.settings.logs / "prefect.log"
    before = log.read_bytes()
    refused = project.refinery("up", "--detach")
    assert refused.returncode == 1
    assert "tables of a later release: they are at revision 9999" in refused.stderr
    assert "refinery restore FOLDER" in refused.stderr
    assert log.read_bytes() == before, "Prefect was started, and perhaps set up"
    check_that_nothing_is_left(project)


def check_that_nothing_is_left(project: Project) -> None:
    assert marked(state.mark(project.settings)) == []
    assert working_in(project.folder / "pg" / "data", "postgres") == []
    assert not project.now.running()
