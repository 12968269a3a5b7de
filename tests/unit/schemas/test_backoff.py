"""Pauses that double up to a bound, however often something failed."""

from schemas.backoff import Backoff


def test_pauses_double_from_the_first_up_to_the_longest() -> None:
    pauses = Backoff(5.0, 30.0)
    assert [pauses.pause_s(failures) for failures in range(6)] == [5, 5, 10, 20, 30, 30]
    assert pauses.pause_s(10**9) == 30
