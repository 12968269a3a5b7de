"""A machine on which nothing begins takes no work for a while, and says why."""

from pathlib import Path
from typing import Any

import pytest

from hpc.agent import start_faults
from hpc.agent.start_faults import HOLD_S, IN_A_ROW, LONGEST_S, StartFaults
from tests.support.patching import seen_by

CRASHED: dict[str, Any] = {"state": "failed", "exit_code": 127, "started": False}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of day, in seconds; a test may set it."""
    now = [1_800_000_000.0]
    seen_by(monkeypatch, start_faults, "time", time=lambda: now[0])
    return now


def fail(faults: StartFaults, home: Path, first: int, count: int, **end: Any) -> None:
    """So many batches end before they begin."""
    for number in range(first, first + count):
        folder = home / "batches" / f"b{number}"
        (folder / "log").mkdir(parents=True, exist_ok=True)
        (folder / "log" / "runner.log").write_text("Traceback …\nImportError: no numpy\n")
        faults.note(folder, CRASHED | end)


def test_after_three_in_a_row_it_says_what_the_last_one_said(
    tmp_path: Path, clock: list[float]
) -> None:
    faults = StartFaults(tmp_path)
    fail(faults, tmp_path, 0, IN_A_ROW - 1)
    assert not faults.trouble
    fail(faults, tmp_path, IN_A_ROW, 1)
    assert faults.trouble.endswith("the last with exit code 127: ImportError: no numpy")
    assert StartFaults(tmp_path).trouble == faults.trouble, "the next run knows it too"


def test_the_members_of_one_batch_are_one(tmp_path: Path) -> None:
    faults = StartFaults(tmp_path)
    for _ in range(IN_A_ROW):
        fail(faults, tmp_path, 0, 1)
    assert not faults.trouble


@pytest.mark.parametrize(
    "end",
    [
        {"started": True},
        {"started": None},
        {"exit_code": 143},
        {"state": "unknown", "exit_code": None},
        {"state": "node_fail", "exit_code": None},
        {"state": "cancelled", "exit_code": 1},
    ],
)
def test_what_is_no_fault_of_the_machine_is_not_held_against_it(
    tmp_path: Path, end: dict[str, Any]
) -> None:
    faults = StartFaults(tmp_path)
    fail(faults, tmp_path, 0, 2 * IN_A_ROW, **end)
    assert not faults.trouble


def test_what_a_scheduler_refuses_counts_too(tmp_path: Path) -> None:
    faults = StartFaults(tmp_path)
    fail(faults, tmp_path, 0, IN_A_ROW, exit_code=None, why="Unknown queue")
    assert faults.trouble.endswith("the last with Unknown queue")


def test_it_is_tried_again_and_held_longer_until_a_job_begins(
    tmp_path: Path, clock: list[float]
) -> None:
    faults = StartFaults(tmp_path)
    fail(faults, tmp_path, 0, IN_A_ROW)
    clock[0] += HOLD_S
    assert not faults.trouble
    fail(faults, tmp_path, 10, 1)
    clock[0] += HOLD_S
    assert faults.trouble
    clock[0] += HOLD_S
    assert not faults.trouble
    faults.clear()
    fail(faults, tmp_path, 20, IN_A_ROW - 1)
    assert not StartFaults(tmp_path).trouble


def test_a_clock_that_is_set_back_holds_nothing_for_ever(
    tmp_path: Path, clock: list[float]
) -> None:
    faults = StartFaults(tmp_path)
    fail(faults, tmp_path, 0, IN_A_ROW)
    clock[0] -= 2 * LONGEST_S
    assert not faults.trouble
