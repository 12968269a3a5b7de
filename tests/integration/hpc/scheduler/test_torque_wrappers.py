"""The texts of `torque`, said to and by real programs: Slurm's wrappers, before a real Slurm."""

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from demo.lab.slurm_lab import SlurmLab
from hpc.scheduler import torque
from hpc.scheduler.text import FULL, KNOWN, REFUSED, UNKNOWN, JobSpec, NativeTask, Status
from tests.support.needed import need

DEADLINE_S = 60.0
MISSING = "slurm-wlm-torque is not installed: run `bash tests/debian-packages.sh`"
RUNNER = """\
import pathlib, sys, time
folder, index, native = sys.argv[2::2]
pathlib.Path(folder, f"ran-{index}").write_text(native)
while pathlib.Path(folder, "wait").exists():
    time.sleep(0.05)
sys.exit(int(index))
"""


class Answer(NamedTuple):
    """What a program said."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _wrappers() -> None:
    need(shutil.which("qsub") is not None, MISSING)


class Batch:
    """A batch's folder and what is asked of the scheduler about it, as an agent would."""

    def __init__(self, lab: SlurmLab, folder: Path, size: int = 4) -> None:
        self.lab = lab
        self.folder = folder
        self.spec = JobSpec(
            *(f"b{uuid.uuid4().hex[:12]}", size, sys.executable, "runner.py", str(folder)),
            time_s=300,
            mem_mb=100,
            throttle=2,
        )
        (folder / "log").mkdir(parents=True)
        (folder / "runner.py").write_text(RUNNER)
        (folder / "job.sh").write_text(torque.job_script(self.spec))

    def run(self, command: list[str]) -> Answer:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **self.lab.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def submit(self) -> str:
        answer = torque.read_submission(*self.run(torque.submit_command(self.spec)))
        assert answer.outcome == KNOWN, answer.why
        return answer.job_id

    def found(self) -> list[str] | None:
        return torque.read_found(*self.run(torque.find_command(self.spec.key)), self.spec.key)

    def status(self, *job_ids: str) -> Status:
        return torque.read_status(*self.run(torque.status_command(job_ids)))

    def ours(self, *job_ids: str) -> list[NativeTask]:
        status = self.status(*job_ids)
        assert status.complete
        return [task for task in status.tasks if task.key == self.spec.key]

    def ended(self) -> dict[str, str]:
        return {path.name: path.read_text().strip() for path in self.folder.glob("ended/[!.]*")}


def until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not ready():
        assert time.monotonic() < deadline, "it did not come to it"
        time.sleep(0.1)


def test_an_array_is_submitted_found_watched_and_its_exit_codes_are_left(
    lab: SlurmLab, tmp_path: Path
) -> None:
    batch = Batch(lab, tmp_path / "site's batch")
    (batch.folder / "wait").touch()
    assert batch.found() == []
    job_id = batch.submit()
    until(lambda: len(list(batch.folder.glob("ran-*"))) == 2)
    assert batch.found() == [job_id]
    running = {task.native_id for task in batch.ours(job_id) if task.state == "running"}
    assert running == {path.read_text() for path in batch.folder.glob("ran-*")}
    assert {task.state for task in batch.ours(job_id)} == {"running", "pending"}
    (batch.folder / "wait").unlink()
    until(lambda: len(batch.ended()) == 4)
    ran = {path.read_text(): path.name[-1] for path in batch.folder.glob("ran-*")}
    assert batch.ended() == ran, "each task leaves the code of its own line under its own id"
    assert sorted(ran.values()) == ["0", "1", "2", "3"]
    until(lambda: {task.state for task in batch.ours(job_id)} <= {"completed"})


def test_a_cancelled_array_runs_no_further_and_leaves_no_task_alive(
    lab: SlurmLab, tmp_path: Path
) -> None:
    batch = Batch(lab, tmp_path / "batch")
    (batch.folder / "wait").touch()
    job_id = batch.submit()
    until(lambda: len(list(batch.folder.glob("ran-*"))) == 2)
    assert batch.run(torque.cancel_command([job_id])).code == 0
    until(lambda: {task.state for task in batch.ours(job_id)} <= {"completed"})
    assert list(batch.ended().values()) == ["143", "143"], "told to stop, and it is told"
    assert len(list(batch.folder.glob("ran-*"))) == 2
    assert batch.run(torque.cancel_command([job_id, "99999"])).code != 0, "it is over already"


def test_a_single_job_runs_the_first_line(lab: SlurmLab, tmp_path: Path) -> None:
    batch = Batch(lab, tmp_path / "batch", size=1)
    batch.spec = batch.spec._replace(alone=True)
    (batch.folder / "job.sh").write_text(torque.job_script(batch.spec))
    job_id = batch.submit()
    until(lambda: batch.ended() == {job_id: "0"})
    assert (batch.folder / "ran-0").read_text() == job_id


def test_what_is_refused_says_why_and_an_unknown_id_is_no_error(
    lab: SlurmLab, tmp_path: Path
) -> None:
    batch = Batch(lab, tmp_path / "batch")
    spec = batch.spec
    for wrong, outcome, why in (
        (spec._replace(queue="nope"), REFUSED, "Invalid partition name"),
        (spec._replace(size=20_000), REFUSED, "Invalid job array"),
        (spec._replace(account="x", mem_mb=10**7), REFUSED, "node configuration"),
    ):
        answer = torque.read_submission(*batch.run(torque.submit_command(wrong)))
        assert (answer.outcome, why in answer.why) == (outcome, True), answer
    gone = torque.read_submission(*batch.run(["/bin/sh", "-c", "qsub-is-elsewhere"]))
    assert gone.outcome == FULL
    other = Batch(lab, tmp_path / "other")
    assert other.ours("99999") == []
    assert other.found() == []


def test_a_submission_whose_answer_is_lost_is_in_doubt_until_it_is_found(
    lab: SlurmLab, tmp_path: Path
) -> None:
    batch = Batch(lab, tmp_path / "batch")
    with lab.stopped():
        answer = torque.read_submission(*batch.run(torque.submit_command(batch.spec)))
        assert (answer.outcome, answer.job_id) == (UNKNOWN, "")
        assert batch.found() is None
        assert not batch.status("1").complete
    until(lambda: batch.found() not in (None, []))
    assert batch.found() == lab.job_ids(batch.spec.key), "one job, though nobody was told of it"
