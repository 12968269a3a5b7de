"""Batches as arrays of a scheduler, whose programs here answer as a test says."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hpc.agent import native
from hpc.agent.held import HeldBatch
from hpc.agent.native import SchedulerLauncher
from tests.support.agent_site import AgentSite, agent_site

PROGRAM = """\
#!/bin/sh
printf '%s\\n' "$*" >>{folder}/{name}.calls
[ ! -e {folder}/{name}.err ] || cat {folder}/{name}.err >&2
[ ! -e {folder}/{name}.out ] || cat {folder}/{name}.out
[ ! -e {folder}/{name}.code ] || exit "$(cat {folder}/{name}.code)"
"""


class Programs:
    """`qsub`, `qstat` and `qdel`: what they answer is in files, and so is how they were called."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("qsub", "qstat", "qdel"):
            (folder / name).write_text(PROGRAM.format(folder=folder, name=name))
            (folder / name).chmod(0o755)
        self.say("qsub", out="123[].server\n")
        self.shows()

    def say(self, name: str, out: str = "", err: str = "", code: int = 0) -> None:
        """What a program answers from now on."""
        for ending, text in (("out", out), ("err", err), ("code", str(code))):
            (self.folder / f"{name}.{ending}").write_text(text)

    def shows(self, *tasks: tuple[str, str, str]) -> None:
        """The tasks that `qstat` shows: id, name, state."""
        jobs = "".join(
            f"<Job><Job_Id>{job}</Job_Id><Job_Name>{name}</Job_Name>"
            f"<job_state>{state}</job_state></Job>"
            for job, name, state in tasks
        )
        self.say("qstat", out=f"<Data>{jobs}</Data>\n")

    def calls(self, name: str) -> list[str]:
        """How a program was called."""
        path = self.folder / f"{name}.calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    made = Programs(tmp_path / "programs")
    monkeypatch.setenv("PATH", f"{made.folder}:{os.environ['PATH']}")
    return made


@pytest.fixture
def cluster(tmp_path: Path, programs: Programs) -> AgentSite:
    return agent_site(tmp_path / "site", launchers={"scheduler": 9}, scheduler="torque", poll_s=0)


def launcher(cluster: AgentSite) -> SchedulerLauncher:
    return SchedulerLauncher(cluster.config, cluster.folders, cluster.journal)


def claim(cluster: AgentSite, **more: Any) -> HeldBatch:
    return cluster.claim("b1", ["g1", "g2"], launcher="scheduler", **more)


def ends(batch: HeldBatch) -> list[Any]:
    return [each.end and (each.end["state"], each.end["exit_code"]) for each in batch.members]


def leave(cluster: AgentSite, folder: str, name: str, text: str) -> None:
    (cluster.folders.of("b1") / folder / name).write_text(text)


def test_a_batch_is_submitted_as_one_array_with_what_it_asks_for(
    cluster: AgentSite, programs: Programs
) -> None:
    batch = claim(cluster, resources={"time": "00:05:00", "mem": 2048, "partition": "fat"})
    launcher(cluster).launch(batch)
    assert (batch.state, batch.native_id) == ("running", "123[].server")
    call = programs.calls("qsub")[0]
    assert "-t 0-1" in call
    assert "walltime=00:05:00" in call
    assert "-q fat" in call
    script = (cluster.folders.of("b1") / "job.sh").read_text()
    assert "../../bin/runner-" in script


def test_a_submission_whose_answer_was_lost_is_found_by_its_name(
    cluster: AgentSite, programs: Programs
) -> None:
    batch = claim(cluster)
    programs.say("qsub", err="qsub: Connection timed out\n", code=1)
    launcher(cluster).launch(batch)
    assert batch.state == "launching"
    programs.shows(("123[].server", "b1", "R"))
    by = launcher(cluster)
    by.look([batch])
    assert (batch.state, batch.native_id) == ("running", "123[].server")
    assert len(programs.calls("qsub")) == 1


def test_one_that_cannot_be_asked_for_is_not_submitted_again(
    cluster: AgentSite, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "FIND_S", 0.0)
    batch = claim(cluster)
    cluster.journal.append("launching", key="b1", lines=[0, 1], at=1.0)
    programs.say("qstat", err="qstat: cannot connect to server\n", code=111)
    launcher(cluster).look([batch])
    assert batch.state == "launching"
    programs.shows()
    launcher(cluster).look([batch])
    assert batch.state == "claimed"


def test_one_that_left_traces_was_at_work_though_nobody_knows_it_any_more(
    cluster: AgentSite, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "FIND_S", 0.0)
    batch = claim(cluster)
    cluster.journal.append("launching", key="b1", lines=[0, 1], at=1.0)
    leave(cluster, "ended", "123[0].server", "0\n")
    leave(cluster, "ended", "123[1].server", "3\n")
    by = launcher(cluster)
    by.look([batch])
    by.look([batch])
    assert ends(batch) == [("completed", 0), ("failed", 3)]
    assert (batch.state, programs.calls("qsub")) == ("over", [])


def test_what_was_submitted_twice_is_cancelled_once(cluster: AgentSite, programs: Programs) -> None:
    batch = claim(cluster)
    cluster.journal.append("launching", key="b1", lines=[0, 1], at=1.0)
    programs.shows(("123[].server", "b1", "R"), ("124[].server", "b1", "Q"))
    launcher(cluster).look([batch])
    assert batch.native_id == "123[].server"
    assert programs.calls("qdel") == ["124[].server"]


def test_a_refused_submission_ends_its_members_with_the_schedulers_words(
    cluster: AgentSite, programs: Programs
) -> None:
    batch = claim(cluster)
    programs.say("qsub", err="qsub: Unknown queue MSG=cannot locate queue\n", code=170)
    launcher(cluster).launch(batch)
    assert (batch.state, ends(batch)) == ("over", [("failed", None)] * 2)
    assert batch.members[0].end is not None
    assert "Unknown queue" in batch.members[0].end["why"]


def test_a_full_queue_is_asked_again_later(cluster: AgentSite, programs: Programs) -> None:
    batch = claim(cluster)
    programs.say("qsub", err="qsub: Maximum number of jobs already in queue\n", code=1)
    by = launcher(cluster)
    by.launch(batch)
    by.launch(batch)
    assert (batch.state, ends(batch)) == ("claimed", [None, None])
    assert len(programs.calls("qsub")) == 1


def test_exit_files_are_the_truth_and_the_scheduler_tells_why(
    cluster: AgentSite, programs: Programs
) -> None:
    batch = claim(cluster)
    by = launcher(cluster)
    by.launch(batch)
    programs.shows(("123[0].server", "b1-0", "R"), ("123[1].server", "b1-1", "R"))
    by.look([batch])
    assert ends(batch) == [None, None]
    leave(cluster, "ended", "123[0].server", "138\n")
    programs.shows(("123[1].server", "b1-1", "R"))
    by.look([batch])
    assert ends(batch) == [("timeout", 138), None]
    assert batch.state == "running"
    leave(cluster, "results", "2.json", json.dumps({"path": "/attempts/2/complete", "body": {}}))
    programs.shows()
    by.look([batch])
    assert (batch.state, ends(batch)[1]) == ("over", None)


def test_one_that_is_not_shown_any_more_is_over_after_several_looks_and_no_sooner(
    cluster: AgentSite, programs: Programs
) -> None:
    batch = claim(cluster)
    by = launcher(cluster)
    by.launch(batch)
    programs.say("qstat", err="qstat: cannot connect to server\n", code=111)
    for _ in range(5):
        by.look([batch])
    assert ends(batch) == [None, None], "no answer proves nothing"
    programs.shows()
    for _ in range(native.LOOKS_UNTIL_GONE - 1):
        by.look([batch])
    assert ends(batch) == [None, None]
    by = launcher(again := cluster.reopened())
    batch = again.journal.held.batches["b1"]
    by.look([batch])
    assert (batch.state, ends(batch)) == ("over", [("unknown", None)] * 2)


def test_a_cancelled_task_is_ended_there_unless_it_can_be_kept_from_starting(
    cluster: AgentSite, programs: Programs
) -> None:
    batch = claim(cluster)
    by = launcher(cluster)
    by.launch(batch)
    (cluster.folders.of("b1") / "started" / "1").mkdir()
    for attempt in (1, 2):
        cluster.journal.append("stop", attempt=attempt, why="cancelled")
    programs.shows(("123[0].server", "b1-0", "R"), ("123[1].server", "b1-1", "Q"))
    by.look([batch])
    assert ends(batch) == [None, ("cancelled", None)]
    assert programs.calls("qdel") == ["123[0].server"]
    leave(cluster, "ended", "123[0].server", "143\n")
    programs.shows()
    by.look([batch])
    assert ends(batch)[0] == ("cancelled", 143)


def test_a_program_that_is_not_there_is_the_sites_own_trouble(
    cluster: AgentSite, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = claim(cluster)
    monkeypatch.setenv("PATH", "/nowhere")
    launcher(cluster).launch(batch)
    assert (batch.state, ends(batch)) == ("claimed", [None, None])


def test_an_array_that_waits_as_one_row_is_not_missed_task_by_task(
    cluster: AgentSite, programs: Programs
) -> None:
    batch = claim(cluster)
    by = launcher(cluster)
    by.launch(batch)
    programs.shows(("123[].server", "b1", "Q"))
    for _ in range(2 * native.LOOKS_UNTIL_GONE):
        by.look([batch])
    assert (batch.state, ends(batch)) == ("running", [None, None])


def test_an_array_of_which_nothing_else_is_left_is_cancelled_as_a_whole(
    cluster: AgentSite, programs: Programs
) -> None:
    batch = claim(cluster, granted=False)
    by = launcher(cluster)
    by.launch(batch)
    for attempt in (1, 2):
        cluster.journal.append("stop", attempt=attempt, why="cancelled")
    programs.shows(("123[].server", "b1", "Q"))
    by.look([batch])
    assert programs.calls("qdel") == ["123[].server"]
    assert ends(batch) == [None, None], "it may still begin, until the scheduler shows it no more"
    programs.shows()
    for _ in range(native.LOOKS_UNTIL_GONE):
        by.look([batch])
    assert (batch.state, ends(batch)) == ("over", [("cancelled", None)] * 2)


def test_an_array_that_nobody_wants_is_cancelled_before_it_begins(
    cluster: AgentSite, programs: Programs
) -> None:
    batch = claim(cluster)
    by = launcher(cluster)
    by.launch(batch)
    for attempt in (1, 2):
        cluster.journal.append("stop", attempt=attempt, why="cancelled")
    programs.shows(("123[].server", "b1", "Q"))
    by.look([batch])
    assert ends(batch) == [("cancelled", None)] * 2
    assert programs.calls("qdel") == ["123[].server"]
    programs.shows()
    by.look([batch])
    assert batch.state == "over"


def test_a_scheduler_out_of_reach_does_not_make_traces_a_proof(
    cluster: AgentSite, programs: Programs
) -> None:
    batch = claim(cluster)
    cluster.journal.append("launching", key="b1", lines=[0, 1], at=1.0)
    leave(cluster, "ended", "123[0].server", "0\n")
    programs.say("qstat", err="qstat: cannot connect to server\n", code=111)
    launcher(cluster).look([batch])
    assert batch.state == "launching"
    programs.shows(("123[].server", "b1", "R"))
    launcher(cluster).look([batch])
    assert batch.native_id == "123[].server"


def test_an_exit_file_that_may_be_any_tasks_ends_none(
    cluster: AgentSite, programs: Programs
) -> None:
    batch = claim(cluster, granted=False)
    by = launcher(cluster)
    by.launch(batch)
    programs.shows(("123.server", "b1", "R"))
    leave(cluster, "ended", "124", "3\n")
    by.look([batch])
    assert ends(batch) == [None, None]
