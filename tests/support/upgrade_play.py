"""A system of the former release with specimens at every point of the road, and its upgrade.

The road is the herbarium's, with two commands in it that end when the play lets them: one on this
machine, one at an agent of the former release, which nobody stops. Insects wait for a stage that
an operator has switched off.
"""

import shutil
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from demo.lab.agent_process import AgentProcess
from demo.lab.agents import LEASE_S
from demo.lab.machine import LabMachine
from demo.specimens.sessions import Expectation, write_sample_session
from tests.support.clusters import temporary_folder
from tests.support.former_release import FormerStack, former_release
from tests.support.serving import free_port
from tests.support.stack import ROOT, Stack, environment_of, lay_out

NAMES = ("done", "refused", "first", "second", "third", "switched", "half")
"""The specimens. The first two are of one session, and so are the three that are under way."""

GATE = "until [ -e {params.gates}/all ] || [ -e {params.gates}/{guid}.{stage} ]; do sleep 0.1; done"
ARCHIVED = ["ingest", "create", "upload", "synchronise"]

A_TOKEN = """
import asyncio, secrets, sys
from track.commands.agents import allow_joining
from track.schema.database import make_engine, transact

token = secrets.token_urlsafe(32)
allowed = transact(make_engine(sys.argv[1]), allow_joining, "far", token, 1, 1.0, actor="t")
asyncio.run(allowed)
print(token)
"""

JOBS = """
    SELECT a.guid, s.key AS stage, j.state, j.tries, j.id, t.id AS attempt, t.agent_id
    FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    JOIN track.asset a ON a.guid = j.asset_guid
    LEFT JOIN track.attempt t ON t.id = j.attempt_id
    ORDER BY j.id
"""
FINALISED = "SELECT count(finalised_at) AS n FROM track.asset"
HISTORY = "SELECT id, at, actor, asset_guid, what, old, new, why FROM track.history ORDER BY id"


def pipelines(gates: Path) -> str:
    """The test's own herbarium and insects."""

    def stage(key: str, run: str, needs: object = None, **more: object) -> dict[str, object]:
        return {"key": key, "run": run, **({"needs": needs} if needs else {}), **more}

    def command(key: str, site: str, *words: str) -> dict[str, object]:
        given = {"params": {"gates": str(gates)}, "on": [site]}
        return stage(key, "command", "barcode", command=[*words], **given)

    road = [
        stage(key, f"refinery.{key}", before)
        for key, before in zip(ARCHIVED, [None, *ARCHIVED[:-1]], strict=True)
    ]
    codes = {"writes": ["asset_subject", "barcode", "multi_specimen"], "on": ["local"]}
    herbarium = [
        *road,
        stage("open_share", "refinery.open_share", "synchronise"),
        stage("assetLoader", "module load", "open_share", on=["local"]),
        stage("barcode", "module barcode", "assetLoader", **codes),
        command("here", "local", "sh", "-c", GATE),
        command("there", "far", "sh", "-c", GATE),
        stage("finalise", "refinery.finalise", ["here", "there"]),
    ]
    insects = [
        *road,
        stage("later", "command", "synchronise", command=["true"], on=["local"]),
        stage("finalise", "refinery.finalise", "later"),
    ]
    named = {"PIPEHERB0001": herbarium, "PIPEPIOF0001": insects}
    return yaml.safe_dump_all({"pipeline": name, "stages": each} for name, each in named.items())


def sites(callback: str) -> str:
    """This machine, and a site that nobody can reach."""
    here = {"site": "local", "kind": "local", "root": ".refinery/sites/local", "capacity": 2}
    far = {"site": "far", "kind": "pull", "callback": callback, "lease_s": LEASE_S}
    return yaml.safe_dump({"sites": [here, far]})


@dataclass
class Standing:
    """What the databases say at one moment."""

    jobs: list[dict[str, Any]]
    history: list[dict[str, Any]]
    deployments: set[str]
    runs: dict[str, str]
    """The state of each of Prefect's runs that has begun, by its id."""

    @classmethod
    def of(cls, stack: Stack) -> "Standing":
        """As it is now."""
        flows = {each["id"]: each["name"] for each in stack.prefect.all("flows")}
        return cls(
            jobs=stack.rows(JOBS),
            history=stack.rows(HISTORY),
            deployments={
                f"{flows[each['flow_id']]}/{each['name']}"
                for each in stack.prefect.all("deployments")
            },
            runs={
                each["id"]: each["state_type"]
                for each in stack.prefect.all("flow_runs")
                if each["state_type"] != "SCHEDULED"
            },
        )

    def state(self, guid: str, stage: str) -> str:
        """Where one job of it stands."""
        (found,) = (e["state"] for e in self.jobs if (e["guid"], e["stage"]) == (guid, stage))
        return str(found)


@dataclass
class Play:
    """The specimens by their names, the system of each release, and how it stood at the stop."""

    folder: Path
    former: Path
    port: int = field(default_factory=free_port)
    specimens: dict[str, Expectation] = field(default_factory=dict)
    drawn: dict[str, Path] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    before: Standing = field(init=False)
    at_start: Standing = field(init=False)
    after: Standing = field(init=False)
    through: int = field(init=False)
    """The attempt whose runner ended while no system was there."""
    agent: int = field(init=False)
    """The agent's number."""

    @cached_property
    def environment(self) -> dict[str, str]:
        """What both releases are told: also where nodes call back, for sites.yaml names that."""
        here = environment_of(self.folder, "upgrade")
        return here | {"REFINERY_CLUSTERS_PORT": str(self.port)}

    @cached_property
    def old(self) -> FormerStack:
        """The system as the former release runs it."""
        return FormerStack(self.folder, self.environment | {"PYTHONPATH": str(self.former)})

    @cached_property
    def new(self) -> Stack:
        """The same system as we run it."""
        return Stack(self.folder, self.environment)

    @property
    def gates(self) -> Path:
        """Where the commands look for the word to end."""
        return self.folder / "gates"

    def guid(self, name: str) -> str:
        """A specimen's guid."""
        return self.specimens[name].guid

    def lay_out(self, release: Path) -> None:
        """The project's folder as it is with that release; pipelines and sites are the museum's."""
        lay_out(self.folder, release)
        own = self.folder / "deployments" / "pipelines"
        shutil.rmtree(own)
        own.mkdir()
        (own / "own.yaml").write_text(pipelines(self.gates))
        (self.folder / "deployments" / "sites.yaml").write_text(
            sites(f"http://127.0.0.1:{self.port}")
        )

    def draw(self, scratch: Path) -> None:
        """Draw every specimen, each in a folder of its own."""
        for number, name in enumerate(NAMES):
            taken = datetime.now().astimezone() - timedelta(minutes=number)
            made = write_sample_session(scratch / name, now=taken, seed=900 + number, once=True)
            (self.specimens[name],) = made.expectations.values()
            self.drawn[name] = made.path

    def drop(self, session: str, *names: str, pipeline: str = "PIPEHERB0001") -> Path:
        """Upload a session's specimens at once."""
        place = self.old.settings.n_drive / "WORKHERB0001"
        growing = place / f"new_{session}"
        growing.mkdir(parents=True)
        for name in names:
            for file in self.drawn[name].iterdir():
                shutil.copy(file, growing)
            document = growing / f"{self.guid(name)}.json"
            text = document.read_text("utf-8").replace("PIPEHERB0001", pipeline)
            document.write_text(text if name != "refused" else text[:-40], "utf-8")
        self.paths[session] = growing.rename(place / session)
        return self.paths[session]

    def open(self, name: str, *stages: str) -> None:
        """Let a specimen's commands end."""
        for stage in stages:
            (self.gates / f"{self.guid(name)}.{stage}").touch()

    @contextmanager
    def uploading(self, name: str) -> Iterator[None]:
        """Within the block a session's one image grows; after it all is there."""
        path = self.old.settings.n_drive / "WORKHERB0001" / name
        path.mkdir()
        self.paths[name] = path
        document, image = sorted(
            self.drawn[name].iterdir(), key=lambda each: each.suffix, reverse=True
        )
        whole, over = image.read_bytes(), threading.Event()

        def grow() -> None:
            with (path / image.name).open("wb", buffering=0) as file:
                while not over.is_set():
                    file.write(whole[file.tell() : file.tell() + 1000])
                    over.wait(0.2)
                file.write(whole[file.tell() :])
            shutil.copy(document, path)

        writing = threading.Thread(target=grow)
        writing.start()
        try:
            yield
        finally:
            over.set()
            writing.join()


@contextmanager
def agent_of(play: Play) -> Iterator[AgentProcess]:
    """An agent of the former release at the site `far`, which runs one job at a time."""
    packed = play.old.refinery("pack-agent", str(play.folder))
    assert packed.returncode == 0, packed.stderr
    machine = LabMachine(play.folder, Path(packed.stdout.strip()), Path(sys.executable))
    agent = AgentProcess(machine, "agent", units=1)
    try:
        token = play.old.said(A_TOKEN, play.old.addresses.database)
        agent.join(play.old.addresses.clusters, "far", token, "--process", "1")
        agent.start()
        yield agent
    finally:
        agent.close()


def switch_off(play: Play) -> str:
    """Have an operator's run switch off what insects wait for; the run."""
    off = {"by": "t", "on": False, "pipeline": "PIPEPIOF0001", "stage": "later"}
    return play.old.prefect.run("operate/switch", **off)


def bring_under_way(play: Play, switched: str) -> None:
    """Have specimens at every point of the road, on the system of the former release."""
    old = play.old
    for name in ("done", "refused"):
        play.open(name, "here", "there")
    play.drop("ended", "done", "refused")
    old.until(lambda: old.prefect.is_over(switched), "the switch")
    play.drop("insects", "switched", pipeline="PIPEPIOF0001")
    # Ended first: what waits at its gate takes both of this machine's places.
    for path in (play.paths["ended"], play.paths["insects"]):
        old.until(lambda path=path: bool((old.session(path) or {}).get("parked_at")), f"{path}")
    play.drop("under way", "first", "second", "third")
    asked = {"by": "t", "guid": play.guid("third"), "text": "is it blurred?"}
    old.until(lambda: bool(_assets(old, play.guid("third"))), "the third is known")
    held = old.prefect.run("operate/attention", **asked)
    old.until(lambda: old.prefect.is_over(held), "the third is held")
    old.until(lambda: _are_at_gates(old), "commands that run and one that waits for room")


def _assets(stack: Stack, guid: str) -> list[dict[str, Any]]:
    return stack.rows("SELECT guid FROM track.asset WHERE guid = %(guid)s", guid=guid)


def _are_at_gates(stack: Stack) -> bool:
    """Whether both places of this machine and the agent's are taken, and another is queued."""
    found = Counter((row["stage"], row["state"]) for row in stack.rows(JOBS))
    queued = found["here", "queued"] + found["there", "queued"]
    return (found["here", "running"], found["there", "running"]) == (2, 1) and queued > 0


@contextmanager
def upgraded(scratch: Path) -> Iterator[Play]:
    """The play to its end: every specimen that nobody holds has gone its way on the new system."""
    with temporary_folder() as folder, ExitStack() as undo:
        play = Play(folder, former_release(scratch))
        play.gates.mkdir()
        play.lay_out(play.former)
        undo.callback(play.new.refinery, "stop")
        drawing = undo.enter_context(ThreadPoolExecutor(1)).submit(play.draw, scratch)
        started = play.old.refinery("up", "--detach")
        assert started.returncode == 0, started.stderr
        drawing.result()
        switched = switch_off(play)
        agent = undo.enter_context(agent_of(play))
        bring_under_way(play, switched)
        with play.uploading("half"):
            play.before = Standing.of(play.old)
            stopped = play.old.refinery("stop")
        assert stopped.returncode == 0, stopped.stderr
        # Its runner ends, and nobody is there to be told.
        (there,) = (e for e in play.before.jobs if (e["stage"], e["state"]) == ("there", "running"))
        play.through = there["attempt"]
        (play.gates / f"{there['guid']}.there").touch()
        play.lay_out(ROOT)
        started = play.new.refinery("up", "--detach")
        assert started.returncode == 0, started.stderr
        play.at_start = Standing.of(play.new)
        end(play)
        play.after, play.agent = Standing.of(play.new), agent.number
        yield play


def end(play: Play) -> None:
    """Let go of what waits, and follow all to its end but the refused one, which has none."""
    (play.gates / "all").touch()
    new = play.new
    on = ("switch", "--on", "--pipeline", "PIPEPIOF0001", "--stage", "later")
    for words in (on, ("attention", "--guid", play.guid("third"))):
        done = new.refinery("operate", *words, "--no-wait")
        assert done.returncode == 0, done.stderr
    done = len(NAMES) - 1
    new.until(lambda: new.rows(FINALISED)[0]["n"] == done, "all is finalised")
    for path in play.paths.values():
        new.follow(path)
