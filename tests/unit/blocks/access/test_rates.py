"""How often one caller may ask."""

from blocks.access import rates
from blocks.access.rates import Rates


class Clock:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_served_and_then_so_many_a_second() -> None:
    clock = Clock()
    bucket = Rates(2.0, 3, clock)
    assert [bucket.wait_s("a") for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    clock.now += 0.4
    assert 0.09 < bucket.wait_s("a") < 0.11
    clock.now += 0.2
    assert bucket.wait_s("a") == 0.0
    clock.now += 1000.0
    assert [bucket.wait_s("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_one_caller_is_not_held_up_by_another() -> None:
    bucket = Rates(1.0, 1, Clock())
    assert [bucket.wait_s(each) for each in "abc"] == [0.0, 0.0, 0.0]


def test_callers_of_long_ago_are_forgotten() -> None:
    bucket = Rates(1.0, 1, Clock())
    for n in range(rates.MAX_CALLERS + 5):
        bucket.wait_s(n)
    assert len(bucket._left) == rates.MAX_CALLERS


def test_a_request_that_is_given_back_was_never_asked() -> None:
    bucket = Rates(1.0, 1, Clock())
    for _ in range(3):
        assert bucket.wait_s("a") == 0.0
        bucket.give_back("a")
    bucket.give_back("a")
    assert [bucket.wait_s("a") for _ in range(2)] == [0.0, 1.0]
    bucket.give_back("of nobody")
