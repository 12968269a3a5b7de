"""The circuit breaker: waits that double, are drawn at random, and end with a success."""

import random

import pytest

from hpc.wire.breaker import LONGEST_S, Breaker


def test_waits_double_up_to_five_minutes_and_lie_below_their_ceiling() -> None:
    breaker = Breaker(rng=random.Random(1))
    for turn in range(20):
        ceiling = min(LONGEST_S, 2.0**turn)
        wait = breaker.failed(100.0, "down")
        assert 0 < wait <= ceiling
        assert breaker.wait_s(100.0) == pytest.approx(wait)


def test_waits_of_two_systems_are_not_the_same() -> None:
    first, second = Breaker(rng=random.Random(1)), Breaker(rng=random.Random(2))
    for _ in range(5):
        assert first.failed(0.0, "") != second.failed(0.0, "")


def test_what_only_a_person_can_mend_waits_longest_at_once() -> None:
    assert Breaker().failed(0.0, "wrong key", hopeless=True) == LONGEST_S


def test_one_success_closes_it() -> None:
    breaker = Breaker()
    breaker.failed(0.0, "down")
    breaker.succeeded()
    assert breaker.wait_s(0.0) == 0
    assert breaker.failures == 0
