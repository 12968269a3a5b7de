"""Looks are kept apart by what they take."""

import asyncio

import pytest

from tasks.dispatch import spacing
from tasks.dispatch.spacing import MAX_APART_S, Spacing
from tests.support.patching import seen_by


class Clock:
    """A monotonic time that only moves when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        seen_by(monkeypatch, spacing, "time", monotonic=lambda: self.now)
        seen_by(monkeypatch, spacing, "asyncio", sleep=self._sleep)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


@pytest.mark.parametrize(
    ("took", "since", "waits"),
    [(0.02, 0.0, 0.02), (0.02, 0.015, 0.005), (0.02, 5.0, 0.0), (3.0, 0.0, MAX_APART_S)],
)
def test_the_next_look_waits_as_long_as_the_last_one_took(
    monkeypatch: pytest.MonkeyPatch, took: float, since: float, waits: float
) -> None:
    clock, looks = Clock(monkeypatch), Spacing()
    with looks.look():
        clock.now += took
    clock.now += since
    asyncio.run(looks.wait())
    assert clock.slept == [pytest.approx(waits)]


def test_the_first_look_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    asyncio.run(Spacing().wait())
    assert clock.slept == [0.0]


def test_a_look_that_broke_counts_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks = Clock(monkeypatch), Spacing()
    with pytest.raises(OSError, match="away"), looks.look():
        clock.now += 0.1
        raise OSError("away")
    asyncio.run(looks.wait())
    assert clock.slept == [pytest.approx(0.1)]
