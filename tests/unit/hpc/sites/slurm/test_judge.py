"""Deciding how an attempt stands: evidence ends it, absence never does."""

import pytest

from hpc.ends import FREE_ENDS
from hpc.scheduler.slurm import Answer, Task
from hpc.scheduler.states import JobState
from hpc.sites.slurm.cluster import Sight
from hpc.sites.slurm.judge import (
    CAUSE_GRACE_S,
    RESULT_GRACE_S,
    Scene,
    Standing,
    Watched,
    arrays_of,
    decide,
    scenes,
)
from track.jobs.batches import Member

KEY = "b1"


LONG_AGO = -1000.0
"""When an end was first seen of which everything that may show has had the time to."""


def watched(
    *,
    started_by: str | None = None,
    cancelled: bool = False,
    since: float | None = None,
    ended: float | None = LONG_AGO,
) -> Watched:
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
    return Watched(member, KEY, ("7",), since, ended_since=ended)


def task(state: JobState, native: str = "7_3", **more: object) -> Task:
    return Task(native, KEY, state, state.name, **more)  # type: ignore[arg-type]


def shown(*tasks: Task, **more: object) -> Scene:
    return Scene({each.native_id: each for each in tasks}, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "standing"),
    [(JobState.PENDING, Standing.PENDING), (JobState.RUNNING, Standing.RUNNING)],
)
def test_what_the_queue_shows_alive_is_alive(state: JobState, standing: Standing) -> None:
    assert decide(watched(), shown(task(state)), 0.0).standing is standing


def test_absence_is_unknown_since_it_was_first_seen_and_stays_so_for_ever() -> None:
    first = decide(watched(), shown(), 100.0)
    assert (first.standing, first.unknown_since) == (Standing.UNKNOWN, 100.0)
    later = decide(watched(since=100.0), shown(), 1e9)
    assert (later.standing, later.unknown_since) == (Standing.UNKNOWN, 100.0)


def test_a_look_that_failed_changes_nothing() -> None:
    verdict = decide(watched(), Scene(None, left={"7_3": 1}), 5.0)
    assert (verdict.standing, verdict.unknown_since) == (Standing.UNKNOWN, None)
    assert decide(watched(since=2.0), Scene(None), 5.0).unknown_since == 2.0


def test_in_an_answer_that_was_cut_even_evidence_waits_for_a_whole_one() -> None:
    verdict = decide(watched(), shown(complete=False, left={"7_3": 1}), 5.0)
    assert verdict.standing is Standing.UNKNOWN


def test_a_state_nobody_knows_ends_nothing() -> None:
    assert decide(watched(), shown(task(JobState.UNKNOWN)), 5.0).standing is Standing.UNKNOWN


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
    verdict = decide(seen, shown(task(state, node="n4")), 0.0)
    assert verdict.standing is Standing.OVER
    assert (verdict.outcome, verdict.uses_try) == (outcome, uses_try)
    assert "7_3 on n4" in verdict.why
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
def test_why_a_job_was_told_to_stop_is_the_schedulers_word(
    state: JobState, outcome: str, uses_try: bool, code: int
) -> None:
    verdict = decide(watched(started_by="7_3"), shown(task(state), left={"7_3": code}), 0.0)
    assert (verdict.outcome, verdict.uses_try, verdict.exit_code) == (outcome, uses_try, code)
    assert (verdict.free == FREE_ENDS) is (outcome in ("cancelled", "interrupted"))


@pytest.mark.parametrize(("code", "outcome"), [(143, "interrupted"), (138, "timeout")])
def test_what_a_signal_ended_waits_a_while_for_the_schedulers_word(code: int, outcome: str) -> None:
    seen = watched(started_by="7_3", ended=None)
    first = decide(seen, shown(left={"7_3": code}), 5.0)
    assert (first.standing, first.ended_since) == (Standing.UNKNOWN, 5.0)
    told = watched(started_by="7_3", ended=5.0)
    assert decide(told, shown(left={"7_3": code}), 5.0 + CAUSE_GRACE_S).outcome == outcome
    past = {"7_3": task(JobState.PREEMPTED)}
    assert decide(told, shown(left={"7_3": code}, past=past), 6.0).outcome == "preempted"


def test_who_is_stopped_before_its_start_lays_nothing_to_its_site() -> None:
    verdict = decide(watched(), shown(task(JobState.FAILED), left={"7_3": 143}), 0.0)
    assert (verdict.outcome, verdict.uses_try, verdict.site_fault) == ("interrupted", False, "")


def test_a_job_that_ended_well_is_not_lost_while_its_result_may_still_show() -> None:
    done = shown(task(JobState.COMPLETED), left={"7_3": 0})
    first = decide(watched(started_by="7_3", ended=None), done, 7.0)
    assert (first.standing, first.ended_since) == (Standing.UNKNOWN, 7.0)
    seen = watched(started_by="7_3", ended=7.0)
    assert decide(seen, done, 6.0 + RESULT_GRACE_S).standing is Standing.UNKNOWN
    assert decide(seen, done, 7.0 + RESULT_GRACE_S).outcome == "lost"
    assert decide(watched(cancelled=True, ended=None), done, 7.0).outcome == "cancelled"


def test_what_was_asked_to_stop_is_cancelled_and_uses_no_try() -> None:
    verdict = decide(watched(cancelled=True), shown(task(JobState.FAILED)), 0.0)
    assert (verdict.outcome, verdict.uses_try, verdict.site_fault) == ("cancelled", False, "")


@pytest.mark.parametrize(
    ("code", "outcome"), [(0, "lost"), (138, "timeout"), (1, "failed"), (137, "failed")]
)
def test_an_exit_code_left_on_the_disk_is_evidence_without_accounting(
    code: int, outcome: str
) -> None:
    verdict = decide(watched(started_by="7_3"), shown(left={"7_3": code}), 0.0)
    assert (verdict.standing, verdict.outcome) == (Standing.OVER, outcome)
    assert verdict.exit_code == code


def test_a_start_whose_answer_was_lost_uses_no_try_and_is_told_of_the_site() -> None:
    verdict = decide(watched(started_by="7_3"), shown(left={"7_3": 75}), 0.0)
    assert (verdict.outcome, verdict.uses_try, verdict.exit_code) == ("lost", False, 75)
    assert "cannot reach our callback address" in verdict.site_fault


def test_accounting_is_evidence_once_the_queue_has_forgotten() -> None:
    past = {"7_3": task(JobState.OUT_OF_MEMORY, exit_code=253)}
    verdict = decide(watched(started_by="7_3"), shown(past=past), 0.0)
    assert (verdict.outcome, verdict.exit_code) == ("out_of_memory", 253)


def test_accounting_that_lags_behind_is_no_evidence() -> None:
    past = {"7_3": task(JobState.RUNNING)}
    assert decide(watched(), shown(past=past), 0.0).standing is Standing.UNKNOWN


def test_it_is_over_only_when_every_job_of_the_name_is() -> None:
    seen = Watched(watched(started_by="7_3").member, KEY, ("7", "8"), ended_since=LONG_AGO)
    one = shown(task(JobState.FAILED), task(JobState.PENDING, "8_3"))
    assert decide(seen, one, 0.0).standing is Standing.PENDING
    assert decide(seen, shown(task(JobState.FAILED)), 0.0).standing is Standing.UNKNOWN
    both = shown(task(JobState.TIMEOUT), task(JobState.COMPLETED, "8_3"))
    assert decide(seen, both, 0.0).outcome == "timeout"


def test_the_one_that_was_started_tells_how_it_ended() -> None:
    seen = Watched(watched(started_by="8_3").member, KEY, ("7", "8"), ended_since=LONG_AGO)
    both = shown(task(JobState.COMPLETED), task(JobState.OUT_OF_MEMORY, "8_3"))
    assert decide(seen, both, 0.0).outcome == "out_of_memory"


def test_a_site_is_blamed_for_jobs_that_end_before_they_start() -> None:
    unreachable = decide(watched(), shown(task(JobState.FAILED), left={"7_3": 75}), 0.0)
    assert "cannot reach our callback address" in unreachable.site_fault
    broken = decide(watched(), shown(task(JobState.FAILED), left={"7_3": 127}), 0.0)
    assert "prepare the site again" in broken.site_fault


def test_a_look_is_sorted_by_batch_and_shows_arrays_nobody_knew_of() -> None:
    sight = Sight(
        queue=Answer((task(JobState.RUNNING, "8_3"), Task("5_0", "b2", JobState.PENDING, ""))),
        ended={KEY: {"9_3": 0}},
    )
    found = scenes([KEY, "b2", "b3"], sight)
    assert arrays_of(["7"], found[KEY]) == ("7", "8", "9")
    assert arrays_of([], found["b2"]) == ("5",)
    assert found["b3"].queue == {}
