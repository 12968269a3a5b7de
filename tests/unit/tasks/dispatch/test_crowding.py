"""When jobs share subflows: a burst, and a stream that would keep Prefect busy for ever."""

import pytest

from tasks.dispatch.crowding import FIRST_COST_S, LONG_S, SHORT_S, SPAN_S, Crowding

WIDTH = 4
A_SECOND = round(WIDTH / FIRST_COST_S)
"""So many subflows take Prefect a second, as far as is known at first."""


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def crowding(clock: Clock) -> Crowding:
    return Crowding(WIDTH, burst_s=1.0, clock=clock)


def test_a_few_jobs_have_their_own_subflows(crowding: Crowding) -> None:
    crowding.began(6)
    assert not crowding.too_many(6)
    assert crowding.gather_s == SHORT_S


def test_a_burst_shares_them(crowding: Crowding) -> None:
    assert not crowding.too_many(A_SECOND)
    assert crowding.too_many(A_SECOND + 1)


def test_a_slower_prefect_is_crowded_by_fewer(crowding: Crowding) -> None:
    for _ in range(50):
        crowding.answered(10 * FIRST_COST_S)
    assert crowding.too_many(A_SECOND // 5)


def test_a_stream_shares_them_though_few_wait_at_a_time(crowding: Crowding, clock: Clock) -> None:
    for _ in range(20):  # 16 a second for ten seconds
        clock.now += 0.5
        crowding.began(8)
        assert not crowding.too_many(8)
    for _ in range(20):  # 32 a second
        clock.now += 0.5
        crowding.began(16)
    assert crowding.too_many(8)
    assert crowding.gather_s == LONG_S


def test_a_stream_that_has_ended_is_forgotten(crowding: Crowding, clock: Clock) -> None:
    crowding.began(10 * A_SECOND)
    assert crowding.too_many(1)
    clock.now += SPAN_S + 0.1
    assert not crowding.too_many(1)
    assert crowding.gather_s == SHORT_S
