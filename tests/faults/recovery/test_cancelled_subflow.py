"""Prefect's cancel of one asset's subflow: its job ends at the site, and may be done again."""

import signal
from pathlib import Path
from uuid import UUID

import pytest

from demo.lab.victims import kill, runners
from tests.support import kills
from tests.support.one_specimen import Drop, as_if_nothing_had_been, dispatchers
from tests.support.stack import Stack

ENDED = """
    SELECT j.state, t.outcome, t.cancel_requested_at, t.closed_at FROM track.job j
    LEFT JOIN track.attempt t ON t.id = j.attempt_id WHERE j.id = %(j)s
"""


@pytest.mark.timeout(600)
def test_a_subflow_cancelled_in_prefect_ends_its_runner_and_may_be_done_again(
    stack: Stack, drop: Drop
) -> None:
    path = drop()
    job, runner = _held_in_the_middle(stack, path)
    try:
        stack.prefect.set_state(_subflow(stack, path, job), "CANCELLING")
        stack.until(lambda: _told_to_end(runner), "the runner to be told to end")
    finally:
        kill([runner], signal.SIGCONT)
    stack.until(lambda: stack.rows(ENDED, j=job)[0]["state"] == "cancelled", "the cancelled job")
    (end,) = stack.rows(ENDED, j=job)
    assert end["outcome"] == "cancelled" and end["cancel_requested_at"] < end["closed_at"]
    assert runner not in runners(stack.settings)
    session = stack.follow(path)
    assert {row["ended_why"] for row in dispatchers(stack, session)} == {"finished"}
    stack.prefect.start("operate/resubmit", by="ib", **_of(stack, job))
    stack.until(lambda: stack.rows(ENDED, j=job)[0]["state"] == "done", "the job done again")
    as_if_nothing_had_been(stack, stack.follow(path))


def _held_in_the_middle(stack: Stack, path: Path) -> tuple[int, int]:
    """A job that a stopped runner is at: it cannot end before it is cancelled."""
    found: list[tuple[int, int]] = []

    def held() -> bool:
        moment, pids = kills.holds(stack, path, "running", "ocr")(), runners(stack.settings)
        if moment and len(pids) == 1:
            kill(pids, signal.SIGSTOP)
            if kills.holds(stack, path, "running", "ocr")():
                found.append((moment["id"], pids[0]))
                return True
            kill(pids, signal.SIGCONT)
        return False

    stack.until(held, "a runner at its text")
    return found[0]


def _subflow(stack: Stack, path: Path, job: int) -> str:
    """The run of that job in Prefect, which comes only after the job is at its site."""
    (row,) = stack.rows("SELECT id FROM track.session WHERE opened_as = %(p)s", p=str(path))
    run = dispatchers(stack, UUID(str(row["id"])))[-1]["flow_run_id"]
    found: list[str] = []

    def runs() -> bool:
        found[:] = [
            str(each["id"])
            for each in stack.prefect.subflows_of(str(run))
            if each["parameters"]["jobs"] == [job] and each["state_type"] == "RUNNING"
        ]
        return bool(found)

    stack.until(runs, "the job's run in Prefect")
    (mine,) = found
    return mine


def _told_to_end(pid: int) -> bool:
    """Whether SIGTERM waits for the process to go on (proc(5), ShdPnd)."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("ShdPnd:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def _of(stack: Stack, job: int) -> dict[str, str]:
    (row,) = stack.rows(
        "SELECT j.asset_guid AS guid, s.key AS stage FROM track.job j"
        " JOIN track.stage s ON s.id = j.stage_id WHERE j.id = %(j)s",
        j=job,
    )
    return {"guid": str(row["guid"]), "stage": str(row["stage"])}
