"""The watch over a synchronisation: when it waits, asks again, closes a share, gives up."""

from blocks.tier import Outcome, Verdict
from tasks.archive.ars.synchronise import Step, SynchronisePace, Watch

PENDING = Verdict(Outcome.PENDING, "ASSET_RECEIVED", share_open=True)
FAILED = Verdict(Outcome.FAILED, "ERDA_FAILED: away", share_open=True)
OPEN = Verdict(Outcome.SHARE_OPEN, "ERDA_SYNCHRONISED, share still open", share_open=True)
DONE = Verdict(Outcome.DONE, "ERDA_SYNCHRONISED")


def steps(watch: Watch, verdict: Verdict, *moments: float) -> list[Step]:
    return [watch.step(verdict, moment) for moment in moments]


def test_it_asks_again_only_after_the_asset_was_stuck_for_long() -> None:
    watch = Watch(SynchronisePace(stuck=900))
    assert steps(watch, PENDING, 0, 899, 900, 901) == [Step.WAIT, Step.WAIT, Step.ASK, Step.WAIT]


def test_it_asks_three_times_and_then_reports_failure() -> None:
    watch = Watch(SynchronisePace(stuck=900, remedies=3))
    seen = steps(watch, PENDING, 0, 900, 1800, 2700, 3600)
    assert seen == [Step.WAIT, Step.ASK, Step.ASK, Step.ASK, Step.STOP]
    final = watch.final(PENDING)
    assert final.outcome is Outcome.FAILED
    assert "still ASSET_RECEIVED after asking again 3 times" in final.reason


def test_a_failure_ends_the_watch_whether_a_share_is_left_or_not() -> None:
    assert Watch(SynchronisePace()).step(FAILED, 0) is Step.STOP
    assert Watch(SynchronisePace()).step(Verdict(Outcome.FAILED, "Asset is locked"), 0) is Step.STOP


def test_a_share_left_open_is_closed_after_a_while() -> None:
    watch = Watch(SynchronisePace(share_open=30))
    assert steps(watch, OPEN, 0, 29, 30) == [Step.WAIT, Step.WAIT, Step.CLOSE]


def test_done_and_missing_files_end_the_watch_at_once() -> None:
    missing = Verdict(Outcome.MISSING, "ERDA lacks a.tif", ("a.tif",))
    assert Watch(SynchronisePace()).step(DONE, 0) is Step.STOP
    assert Watch(SynchronisePace()).step(missing, 0) is Step.STOP


def test_it_polls_ever_more_slowly_and_quickly_again_after_a_change() -> None:
    watch = Watch(SynchronisePace(first=0.5, longest=10))
    watch.step(PENDING, 0)
    pauses = [watch.pause() for _ in range(10)]
    assert pauses[0] == 0.5
    assert pauses[-1] == 10
    watch.step(OPEN, 60)
    assert watch.pause() == 0.5
