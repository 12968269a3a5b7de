"""When new work is sent: at once where nothing was sent a moment ago, else with what follows."""

import pytest
from pydantic import ValidationError

from hpc.sites.slurm.submitter import SubmitPace
from schemas.sites import Site


def test_a_first_job_and_one_after_a_while_are_sent_without_waiting() -> None:
    pace = SubmitPace(0.5)
    assert pace.admits(1000.0) and pace.due_s(1000.0) is None
    pace.took_at = 1000.0
    assert pace.admits(1000.5) and pace.due_s(1000.5) is None


def test_what_is_queued_soon_after_a_submission_is_due_when_the_interval_is_over() -> None:
    pace = SubmitPace(0.5, took_at=1000.0)
    assert not pace.admits(1000.125)
    assert pace.due_s(1000.25) == 0.25
    assert pace.due_s(1000.75) == 0.0  # a turn may last longer than the interval


def test_jobs_that_come_one_by_one_go_in_one_submission_per_interval() -> None:
    pace, sent = SubmitPace(0.5), []
    for step in range(300):  # 10 ms each
        now = step / 100
        if pace.admits(now):
            pace.took_at = now
            sent.append(now)
    assert len(sent) == 6


def test_without_an_interval_every_turn_sends() -> None:
    pace = SubmitPace(0.0, took_at=1000.0)
    assert pace.admits(1000.0)


@pytest.mark.parametrize("wrong", [-1, True, "1", float("nan"), float("inf")])
def test_an_interval_is_a_number_of_seconds(wrong: object) -> None:
    given = {"site": "here", "kind": "local", "root": "/nowhere", "submit_s": wrong}
    with pytest.raises(ValidationError, match="submit_s"):
        Site.model_validate(given)
