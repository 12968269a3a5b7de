"""The circuit breaker: waits that double, are drawn at random, and end with a success."""

import random

import pytest

from hpc.transport.breaker import Breaker
from hpc.transport.errors import (
    BadAddress,
    HostUnreachable,
    HungUp,
    KeyRefused,
    LoginBackoff,
    SecondFactor,
    WireError,
    WrongHostKey,
)


def test_waits_double_up_to_five_minutes_and_lie_below_their_ceiling() -> None:
    breaker = Breaker(rng=random.Random(1))
    for turn in range(20):
        ceiling = min(300.0, 2.0**turn)
        wait = breaker.failed(100.0, "down")
        assert 0 < wait <= ceiling
        assert breaker.wait_s(100.0) == pytest.approx(wait)


def test_waits_of_two_systems_are_not_the_same() -> None:
    first, second = Breaker(rng=random.Random(1)), Breaker(rng=random.Random(2))
    for _ in range(5):
        assert first.failed(0.0, "") != second.failed(0.0, "")


@pytest.mark.parametrize(
    ("kind", "first", "last"),
    [
        (KeyRefused, 300, 3600),
        (WrongHostKey, 300, 3600),
        (SecondFactor, 6 * 3600, 6 * 3600),
        (BadAddress, 300, 300),
    ],
)
def test_what_only_a_person_can_mend_is_hardly_tried_at_all(
    kind: type[WireError], first: int, last: int
) -> None:
    breaker = Breaker()
    waits = [breaker.failed(0.0, "no", kind.pauses) for _ in range(10)]
    assert (waits[0], waits[-1]) == (first, last)
    assert kind.needs_operator


def test_a_host_that_hangs_up_is_tried_less_and_less_down_to_once_an_hour() -> None:
    breaker = Breaker(rng=random.Random(3))
    waits = [breaker.failed(0.0, "hung up", HungUp.pauses) for _ in range(20)]
    assert waits[0] <= 1
    assert max(waits) > HostUnreachable.pauses.longest_s
    assert max(waits) <= 3600
    assert not HungUp.needs_operator


def test_logins_in_a_day_of_refusals_are_too_few_to_be_banned_for() -> None:
    breaker, now, logins = Breaker(), 0.0, 0
    while now < 86_400:
        logins += 1
        now += breaker.failed(now, "no", LoginBackoff(300.0, 3600.0, even=True))
    assert logins < 30


def test_one_success_closes_it() -> None:
    breaker = Breaker()
    breaker.failed(0.0, "down")
    breaker.succeeded()
    assert breaker.wait_s(0.0) == 0
    assert breaker.failures == 0
