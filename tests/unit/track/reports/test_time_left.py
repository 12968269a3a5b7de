"""How long a session will take is told only where it can be."""

from datetime import UTC, datetime, timedelta

import pytest

from track.reports.one_session import SessionStage
from track.reports.time_left import TimeLeft, time_left

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def stage(
    name: str = "ocr", *, open_: int = 0, ended: int = 0, minutes: float = 60, stuck: int = 0
) -> SessionStage:
    begun = NOW - timedelta(minutes=minutes)
    states = {"ready": open_, "done": ended}
    return SessionStage("P", name, states, ended, begun if ended else None, stuck, NOW)


def said(*stages: SessionStage, state: str = "under way") -> str | None:
    found = time_left(state, stages)
    return found and found.sentence()


def test_the_slowest_stage_decides() -> None:
    assert said(stage("load", open_=100, ended=101), stage(open_=20, ended=61)) == "about 1 h"
    assert said(stage("load", open_=20, ended=61), stage(open_=20, ended=61)) == "about 20 min"


def test_a_stage_that_began_a_moment_ago_is_not_slow() -> None:
    assert said(stage(open_=60, ended=11, minutes=1)) == "about 5 min"


def test_what_nothing_is_known_of_may_take_longer() -> None:
    sentence = said(stage("load", open_=20, ended=61), stage(open_=20))
    assert sentence == "at least 20 min: of ocr too little has been done to tell"


@pytest.mark.parametrize(
    ("state", "stages", "sentence"),
    [
        ("under way", [stage(open_=9, ended=2)], "too little has been done within the last hour"),
        ("under way", [stage(open_=9)], "too little has been done within the last hour"),
        ("waits", [stage(open_=9, ended=60)], "nobody is at it just now"),
        ("being read", [], "its folder is being read"),
        ("under way", [stage("load", open_=1, ended=60), stage(open_=9)], "of ocr too little"),
    ],
)
def test_where_it_cannot_be_told_it_is_not(
    state: str, stages: list[SessionStage], sentence: str
) -> None:
    found = said(*stages, state=state)
    assert found is not None and found.startswith(f"cannot be told yet: {sentence}")


def test_what_waits_for_a_person_is_not_counted() -> None:
    assert said(stage(open_=30, ended=61, stuck=30)) is None
    assert said(stage(open_=50, ended=61, stuck=30)) == "about 20 min"
    assert said(stage(open_=0, ended=61)) is None
    assert said(stage(open_=5, ended=61), state="finished") is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (10, "less than 5 min"),
        (400, "about 5 min"),
        (3_200, "about 55 min"),
        (5_000, "about 1.5 h"),
        (90_000, "about 25 h"),
        (200_000, "about 2 days"),
    ],
)
def test_it_promises_no_more_than_is_known(seconds: float, words: str) -> None:
    assert TimeLeft(seconds).sentence() == words
