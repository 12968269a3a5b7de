"""One piece of work at a time."""

import threading

import pytest

from workstation.page.progress import ShownProgress
from workstation.page.work import BackgroundWork, PieceOfWork, WorkUnderWay
from workstation.watching import IngestStopped


def piece() -> PieceOfWork:
    return PieceOfWork("look", ShownProgress())


def test_a_second_piece_is_refused_until_the_first_is_over() -> None:
    work, gate = BackgroundWork(), threading.Event()
    work.start(piece(), lambda _: gate.wait(30) and None)
    assert work.is_busy and work.busy_with("look") and not work.busy_with("plan")
    with pytest.raises(WorkUnderWay):
        work.start(piece(), lambda _: None)
    gate.set()
    work.wait(30)
    assert not work.is_busy
    work.start(piece(), lambda _: None)
    work.wait(30)


def test_what_it_ends_with_is_known_afterwards() -> None:
    work = BackgroundWork()

    def fails(_: PieceOfWork) -> None:
        raise ValueError("no")

    work.start(piece(), fails)
    work.wait(30)
    last = work.last("look")
    assert last is not None and last.is_over and str(last.error) == "no"
    assert work.last("plan") is None


def test_it_comes_to_rest_when_it_is_told() -> None:
    work, halted = BackgroundWork(), threading.Event()

    def goes_on(each: PieceOfWork) -> None:
        each.stop_sign.wait(30)

    started = work.start(PieceOfWork("ingest", ShownProgress(), halted.set), goes_on)
    work.stop()
    work.wait(30)
    assert not work.is_busy and halted.is_set() and isinstance(started.error, IngestStopped)
