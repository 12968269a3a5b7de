"""What may be otherwise later is tried again, with pauses, for a time that is bounded."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.backoff import Backoff
from workstation.server.errors import LoginNeeded, ServerAway, ServerRefused
from workstation.server.patience import Patience, ServerStaysAway
from workstation.watching import IngestStopped, StopSign

Moved = Callable[[], None]


def patience(told: list[str], **given: Any) -> Patience:
    return Patience(told.append, StopSign(), pauses=Backoff(0.001, 0.002), **given)


def failing(times: int, error: Exception) -> Callable[[Moved], str]:
    left = [error] * times

    def work(_: Moved) -> str:
        if left:
            raise left.pop()
        return "done"

    return work


@pytest.mark.parametrize(
    "error",
    [
        ServerAway("no connection"),
        ServerRefused("no_room", "the N-Drive is full", status=507),
        ServerRefused("try_later", "later", status=503),
        ServerRefused("too_many_logins", "slower", status=429),
        ServerRefused("wrong_offset", "go on there", status=409),
        ServerRefused("being_written", "another", status=423),
    ],
    ids=str,
)
def test_what_passes_is_tried_again_and_told_of(error: Exception) -> None:
    told: list[str] = []
    assert patience(told).until_done(failing(3, error)) == "done"
    assert told and "it is tried again in 1 s" in told[0]


@pytest.mark.parametrize(
    "error",
    [LoginNeeded("log in"), ServerRefused("name_taken", "another's", status=409)],
    ids=str,
)
def test_what_does_not_pass_comes_out_at_once(error: Exception) -> None:
    told: list[str] = []
    with pytest.raises(type(error)):
        patience(told).until_done(failing(1, error))
    assert told == []


def test_without_anything_moving_it_gives_up() -> None:
    with pytest.raises(ServerStaysAway, match=r"no connection.*run the same command again"):
        patience([], give_up_after_s=0.02).until_done(failing(10**6, ServerAway("no connection")))


def test_what_moves_for_one_gives_time_to_all() -> None:
    asked = patience([], give_up_after_s=0.05)
    tries = 0

    def work(moved: Moved) -> str:
        nonlocal tries
        tries += 1
        if tries == 300:
            return "done"
        moved()
        raise ServerAway("no connection")

    assert asked.until_done(work) == "done"


def test_it_waits_as_long_as_the_server_asks() -> None:
    waits: list[float] = []
    asked = patience([])
    asked.stop.wait = waits.append  # type: ignore[method-assign]
    error = ServerRefused("no_room", "full", 60.0, status=507)
    assert asked.until_done(failing(2, error)) == "done"
    assert waits == [60.0, 60.0]


def test_stopped_it_waits_no_longer() -> None:
    asked = Patience(lambda _: asked.stop.give(), StopSign(), pauses=Backoff(600, 600))
    with pytest.raises(IngestStopped, match="it goes on"):
        asked.until_done(failing(9, ServerAway("no connection")))
