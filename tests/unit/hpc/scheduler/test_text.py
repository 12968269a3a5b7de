"""The script of a job, run as the schedulers of an agent run it: its end is always told."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from hpc.scheduler import lsf, torque
from hpc.scheduler.text import JobSpec, clock

ENVIRONMENTS: dict[str, tuple[ModuleType, dict[str, str], str]] = {
    "torque": (torque, {"PBS_JOBID": "123[4].server", "PBS_ARRAYID": "4"}, "123[4].server"),
    "wrappers with the plugin": (torque, {"PBS_JOBID": "9", "PBS_ARRAY_INDEX": "4"}, "9"),
    "wrappers": (
        torque,
        {"PBS_JOBID": "", "SLURM_JOB_ID": "9", "SLURM_ARRAY_TASK_ID": "4"},
        "9",
    ),
    "lsf": (lsf, {"LSB_JOBID": "123", "LSB_JOBINDEX": "5"}, "123[5]"),
}
RUNNER = """\
import signal, sys, time
said = open("said", "w")
print(*sys.argv[1:], file=said, flush=True)
for name in ("SIGTERM", "SIGINT", "SIGUSR1"):
    signal.signal(getattr(signal, name), lambda number, _: sys.exit(128 + number))
print("ready", file=said, flush=True)
if "{what}" == "wait":
    time.sleep(60)
print("words")
sys.exit(7)
"""
DEADLINE_S = 30.0


@pytest.fixture(params=ENVIRONMENTS)
def scheduler(request: pytest.FixtureRequest) -> tuple[ModuleType, dict[str, str], str]:
    name: str = request.param
    return ENVIRONMENTS[name]


def prepare(
    scheduler: ModuleType, folder: Path, what: str, prelude: str = "", named: str = ""
) -> None:
    """The script and a runner in a batch's folder; `named`: what the script takes for it."""
    (folder / "runner.py").write_text(RUNNER.replace("{what}", what))
    spec = JobSpec("b1", 8, sys.executable, "runner.py", named or str(folder), prelude=prelude)
    (folder / "job.sh").write_text(scheduler.job_script(spec))


@contextmanager
def running(folder: Path, given: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The script in a session of its own, begun elsewhere, as on a node."""
    shell = subprocess.Popen(
        ["/bin/sh", str(folder / "job.sh")],
        cwd="/",
        env={**os.environ, **given},
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield shell
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait(DEADLINE_S)


def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not ready():
        assert time.monotonic() < deadline, "it did not come to it"
        time.sleep(0.02)


def test_a_task_runs_its_line_and_leaves_its_exit_code_under_its_own_id(
    scheduler: tuple[ModuleType, dict[str, str], str], tmp_path: Path
) -> None:
    module, given, native = scheduler
    prepare(module, tmp_path, "end")
    with running(tmp_path, given) as shell:
        assert shell.wait(DEADLINE_S) == 7
    said = (tmp_path / "said").read_text().splitlines()[0]
    assert said == f"--batch . --index 4 --native-id {native}"
    assert [path.name for path in (tmp_path / "ended").iterdir()] == [native]
    assert (tmp_path / "ended" / native).read_text() == "7\n"
    assert [path.read_text() for path in (tmp_path / "log").iterdir()] == ["words\n"]


def test_a_job_that_is_told_to_stop_passes_it_on_and_tells_its_end(
    scheduler: tuple[ModuleType, dict[str, str], str], tmp_path: Path
) -> None:
    module, given, native = scheduler
    prepare(module, tmp_path, "wait")
    with running(tmp_path, given) as shell:
        until(lambda: "ready" in _text(tmp_path / "said"))
        shell.send_signal(signal.SIGTERM)
        assert shell.wait(DEADLINE_S) == 128 + signal.SIGTERM
    assert _text(tmp_path / "ended" / native) == f"{128 + signal.SIGTERM}\n"
    assert list((tmp_path / "log").iterdir()) == [], "an empty log is not kept"


@pytest.mark.parametrize(
    ("number", "seen"),
    [
        (signal.SIGUSR1, {signal.SIGUSR1}),
        (signal.SIGUSR2, {signal.SIGUSR1}),
        (signal.SIGINT, {signal.SIGINT, signal.SIGTERM}),
        (signal.SIGTERM, {signal.SIGTERM}),
    ],
)
def test_what_lsf_sends_to_all_of_a_job_ends_its_runner_and_is_told(
    number: signal.Signals, seen: set[signal.Signals], tmp_path: Path
) -> None:
    """SIGUSR2 says that time is up: the runner, which does not know it, is told SIGUSR1."""
    module, given, native = ENVIRONMENTS["lsf"]
    prepare(module, tmp_path, "wait")
    with running(tmp_path, given) as shell:
        until(lambda: "ready" in _text(tmp_path / "said"))
        os.killpg(shell.pid, number)
        assert shell.wait(DEADLINE_S) - 128 in seen
    assert _text(tmp_path / "ended" / native) == f"{shell.returncode}\n"


def test_the_prelude_runs_before_the_python_and_may_go_elsewhere(tmp_path: Path) -> None:
    module, given, native = ENVIRONMENTS["torque"]
    prepare(module, tmp_path, "end", prelude="set -eu\ncd /tmp; echo loaded")
    with running(tmp_path, given) as shell:
        assert shell.wait(DEADLINE_S) == 7
    assert (tmp_path / "ended" / native).exists()
    assert _text(next((tmp_path / "log").iterdir())) == "words\n"


def test_a_job_whose_folder_is_not_there_runs_nothing(tmp_path: Path) -> None:
    module, given, _ = ENVIRONMENTS["torque"]
    prepare(module, tmp_path, "end", named=str(tmp_path / "gone"))
    with running(tmp_path, given) as shell:
        assert shell.wait(DEADLINE_S) == 1
    assert not (tmp_path / "said").exists()


def test_times_are_written_as_clocks() -> None:
    assert [clock(seconds) for seconds in (1, 300, 90061)] == ["00:00:01", "00:05:00", "25:01:01"]


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
