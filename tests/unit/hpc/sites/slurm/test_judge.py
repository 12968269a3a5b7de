"""Deciding how an attempt stands: evidence ends it, absence never does."""

import pytest

from hpc.ends import FREE_ENDS, Meaning
from hpc.scheduler.slurm import SchedulerAnswer, Task
from hpc.scheduler.states import JobState
from hpc.sites.slurm.answers import PollResult
from hpc.sites.slurm.judge import (
    CAUSE_GRACE_S,
    RESULT_GRACE_S,
    BatchSnapshot,
    JobVerdict,
    SiteStatus,
    WatchedAttempt,
    arrays_of,
    judge,
    snapshots,
)
from track.jobs.batches import Member

KEY = "b1"


LONG_AGO = -1000.0
"""When an end was first seen of which everything that may show has had the time to."""


def watched(
    *,
    started_by: str | None = None,
    cancelled: bool = False,
    ended: float | None = LONG_AGO,
) -> WatchedAttempt:
    member = Member(
        attempt=9,
        fence=1,
        line=3,
        guid="g",
        stage="ocr",
        kind="module",
        run="ocr",
        open=True,
        started_by=started_by,
        cancelled=cancelled,
    )
    return WatchedAttempt(member, KEY, ("7",), ended_since=ended)


def end_of(verdict: JobVerdict) -> Meaning:
    assert verdict.end is not None
    return verdict.end


def task(state: JobState, native: str = "7_3", **more: object) -> Task:
    return Task(native, KEY, state, state.name, **more)  # type: ignore[arg-type]


def shown(*tasks: Task, **more: object) -> BatchSnapshot:
    return BatchSnapshot({each.native_id: each for each in tasks}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "status"),
    [(JobState.PENDING, SiteStatus.PENDING), (JobState.RUNNING, SiteStatus.RUNNING)],
)
def test_what_the_queue_shows_alive_is_alive(state: JobState, status: SiteStatus) -> None:
    assert judge(watched(), shown(task(state)), 0.0).status is status


@pytest.mark.parametrize("now", [100.0, 1e9])
def test_absence_is_unknown_and_stays_so_for_ever(now: float) -> None:
    verdict = judge(watched(), shown(), now)
    assert (verdict.status, verdict.ending) == (SiteStatus.UNKNOWN, False)


def test_a_poll_that_failed_changes_nothing() -> None:
    found = snapshots([KEY], PollResult(ended={KEY: {"7_3": 1}}))
    verdict = judge(watched(), found[KEY], 5.0)
    assert (verdict.status, verdict.ending) == (SiteStatus.UNKNOWN, False)


def test_in_an_answer_that_was_cut_even_evidence_waits_for_a_complete_one() -> None:
    verdict = judge(watched(), shown(complete=False, left={"7_3": 1}), 5.0)
    assert verdict.status is SiteStatus.UNKNOWN


def test_a_state_nobody_knows_ends_nothing() -> None:
    assert judge(watched(), shown(task(JobState.UNKNOWN)), 5.0).status is SiteStatus.UNKNOWN


@pytest.mark.parametrize(
    ("state", "started", "outcome", "uses_try"),
    [
        (JobState.TIMEOUT, True, "timeout", True),
        (JobState.TIMEOUT, False, "timeout", False),
        (JobState.OUT_OF_MEMORY, True, "out_of_memory", True),
        (JobState.NODE_FAIL, True, "node_fail", False),
        (JobState.PREEMPTED, True, "preempted", False),
        (JobState.CANCELLED, True, "cancelled", False),
        (JobState.FAILED, True, "failed", True),
        (JobState.FAILED, False, "lost", False),
        (JobState.COMPLETED, True, "lost", False),
        (JobState.COMPLETED, False, "lost", False),
    ],
)
def test_each_end_has_its_own_meaning(
    state: JobState, started: bool, outcome: str, uses_try: bool
) -> None:
    seen = watched(started_by="7_3" if started else None)
    verdict = judge(seen, shown(task(state, node="n4")), 0.0)
    assert verdict.status is SiteStatus.OVER
    assert (end_of(verdict).outcome, end_of(verdict).uses_try) == (outcome, uses_try)
    assert "7_3 on n4" in end_of(verdict).why
    assert verdict.node == ("n4" if state is JobState.NODE_FAIL else "")


@pytest.mark.parametrize("code", [143, 130])
@pytest.mark.parametrize(
    ("state", "outcome", "uses_try"),
    [
        (JobState.PREEMPTED, "preempted", False),
        (JobState.NODE_FAIL, "node_fail", False),
        (JobState.CANCELLED, "cancelled", False),
        (JobState.TIMEOUT, "timeout", True),
        (JobState.OUT_OF_MEMORY, "out_of_memory", True),
        (JobState.FAILED, "interrupted", False),
    ],
)
def test_why_a_job_was_stopped_is_what_the_scheduler_says(
    state: JobState, outcome: str, uses_try: bool, code: int
) -> None:
    verdict = judge(watched(started_by="7_3"), shown(task(state), left={"7_3": code}), 0.0)
    assert (end_of(verdict).outcome, end_of(verdict).uses_try, verdict.exit_code) == (
        outcome,
        uses_try,
        code,
    )
    assert (end_of(verdict).free == FREE_ENDS) is (outcome in ("cancelled", "interrupted"))


@pytest.mark.parametrize(("code", "outcome"), [(143, "interrupted"), (138, "timeout")])
def test_what_a_signal_ended_waits_a_while_for_the_schedulers_reason(
    code: int, outcome: str
) -> None:
    seen = watched(started_by="7_3", ended=None)
    first = judge(seen, shown(left={"7_3": code}), 5.0)
    assert (first.status, first.ending) == (SiteStatus.UNKNOWN, True)
    told = watched(started_by="7_3", ended=5.0)
    assert end_of(judge(told, shown(left={"7_3": code}), 5.0 + CAUSE_GRACE_S)).outcome == outcome
    past = {"7_3": task(JobState.PREEMPTED)}
    assert end_of(judge(told, shown(left={"7_3": code}, past=past), 6.0)).outcome == "preempted"


def test_who_is_stopped_before_its_start_lays_nothing_to_its_site() -> None:
    verdict = judge(watched(), shown(task(JobState.FAILED), left={"7_3": 143}), 0.0)
    assert (end_of(verdict).outcome, end_of(verdict).uses_try, verdict.site_fault) == (
        "interrupted",
        False,
        "",
    )


def test_a_job_that_ended_well_is_not_lost_while_its_result_may_still_show() -> None:
    done = shown(task(JobState.COMPLETED), left={"7_3": 0})
    first = judge(watched(started_by="7_3", ended=None), done, 7.0)
    assert (first.status, first.ending) == (SiteStatus.UNKNOWN, True)
    seen = watched(started_by="7_3", ended=7.0)
    assert judge(seen, done, 6.0 + RESULT_GRACE_S).status is SiteStatus.UNKNOWN
    assert end_of(judge(seen, done, 7.0 + RESULT_GRACE_S)).outcome == "lost"
    assert end_of(judge(watched(cancelled=True, ended=None), done, 7.0)).outcome == "cancelled"


def test_what_was_asked_to_stop_is_cancelled_and_uses_no_try() -> None:
    verdict = judge(watched(cancelled=True), shown(task(JobState.FAILED)), 0.0)
    assert (end_of(verdict).outcome, end_of(verdict).uses_try, verdict.site_fault) == (
        "cancelled",
        False,
        "",
    )


@pytest.mark.parametrize(
    ("code", "outcome"), [(0, "lost"), (138, "timeout"), (1, "failed"), (137, "failed")]
)
def test_an_exit_code_left_on_the_disk_is_evidence_without_accounting(
    code: int, outcome: str
) -> None:
    verdict = judge(watched(started_by="7_3"), shown(left={"7_3": code}), 0.0)
    assert (verdict.status, end_of(verdict).outcome) == (SiteStatus.OVER, outcome)
    assert verdict.exit_code == code


def test_a_start_whose_answer_was_lost_uses_no_try_and_is_a_fault_of_the_site() -> None:
    verdict = judge(watched(started_by="7_3"), shown(left={"7_3": 75}), 0.0)
    assert (end_of(verdict).outcome, end_of(verdict).uses_try, verdict.exit_code) == (
        "lost",
        False,
        75,
    )
    assert "cannot reach our callback address" in verdict.site_fault


def test_accounting_is_evidence_once_the_queue_has_forgotten() -> None:
    past = {"7_3": task(JobState.OUT_OF_MEMORY, exit_code=253)}
    verdict = judge(watched(started_by="7_3"), shown(past=past), 0.0)
    assert (end_of(verdict).outcome, verdict.exit_code) == ("out_of_memory", 253)


def test_accounting_that_lags_behind_is_no_evidence() -> None:
    past = {"7_3": task(JobState.RUNNING)}
    assert judge(watched(), shown(past=past), 0.0).status is SiteStatus.UNKNOWN


def test_it_is_over_only_when_every_job_of_the_name_is() -> None:
    seen = WatchedAttempt(watched(started_by="7_3").member, KEY, ("7", "8"), ended_since=LONG_AGO)
    one = shown(task(JobState.FAILED), task(JobState.PENDING, "8_3"))
    assert judge(seen, one, 0.0).status is SiteStatus.PENDING
    assert judge(seen, shown(task(JobState.FAILED)), 0.0).status is SiteStatus.UNKNOWN
    both = shown(task(JobState.TIMEOUT), task(JobState.COMPLETED, "8_3"))
    assert end_of(judge(seen, both, 0.0)).outcome == "timeout"


def test_the_end_is_that_of_the_job_that_was_started() -> None:
    seen = WatchedAttempt(watched(started_by="8_3").member, KEY, ("7", "8"), ended_since=LONG_AGO)
    both = shown(task(JobState.COMPLETED), task(JobState.OUT_OF_MEMORY, "8_3"))
    assert end_of(judge(seen, both, 0.0)).outcome == "out_of_memory"


def test_a_site_is_blamed_for_jobs_that_end_before_they_start() -> None:
    unreachable = judge(watched(), shown(task(JobState.FAILED), left={"7_3": 75}), 0.0)
    assert "cannot reach our callback address" in unreachable.site_fault
    broken = judge(watched(), shown(task(JobState.FAILED), left={"7_3": 127}), 0.0)
    assert "prepare the site again" in broken.site_fault


def test_a_poll_is_sorted_by_batch_and_shows_arrays_that_were_not_known() -> None:
    seen = PollResult(
        queue=SchedulerAnswer(
            (task(JobState.RUNNING, "8_3"), Task("5_0", "b2", JobState.PENDING, ""))
        ),
        ended={KEY: {"9_3": 0}},
    )
    found = snapshots([KEY, "b2", "b3"], seen)
    assert arrays_of(["7"], found[KEY]) == ("7", "8", "9")
    assert arrays_of([], found["b2"]) == ("5",)
    assert found["b3"].queue == {}
