"""What people read of an alarm."""

from datetime import UTC, datetime, timedelta

import pytest

from schemas.events import ALARM_BEGAN, ALARM_CONTINUES, ALARM_ENDED
from track.reports.alarm_messages import (
    KINDS,
    AlarmMessage,
    Subject,
    lasted,
    one_line,
    told_together,
)

SINCE = datetime(2026, 11, 28, 13, 2, tzinfo=UTC)


def message(event: str, kind: str = "archive", **more: str) -> AlarmMessage:
    at = SINCE + timedelta(hours=3, minutes=10)
    return AlarmMessage(
        event, Subject(kind, "ars"), SINCE, at, more.get("why", "no answer"), "wait", at
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("event", [ALARM_BEGAN, ALARM_CONTINUES, ALARM_ENDED])
def test_every_kind_has_words_for_each_of_its_events(kind: str, event: str) -> None:
    found = message(event, kind)
    assert found.headline.startswith(found.subject.title) and "{" not in found.headline
    assert "no answer" in found.body and "2026-11-28" in found.body
    assert found.as_event()["resource"]["prefect.resource.id"] == f"specimen.alarm.{kind}.ars"


def test_the_headline_says_since_when_or_how_long() -> None:
    local = SINCE.astimezone()
    assert message(ALARM_BEGAN).headline == f"archive ars is down (since {local:%H:%M %Z})"
    since = f"{local:%Y-%m-%d %H:%M %Z}"
    assert message(ALARM_CONTINUES).headline == f"archive ars is still down (since {since})"
    assert message(ALARM_ENDED).headline == "archive ars is up again (after 3 h 10 min)"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (93_600, "1 d 2 h"), (86_400, "1 d")],
)
def test_durations_are_said_in_two_units_at_most(seconds: int, words: str) -> None:
    assert lasted(timedelta(seconds=seconds)) == words


def test_a_text_of_others_is_one_line_of_bounded_length() -> None:
    assert one_line("a\r\n b\u202e\tc\x00") == "a b c"
    assert len(one_line("x" * 5000)) == 600


def test_several_are_told_by_one_message_with_all_of_each() -> None:
    alone = told_together([message(ALARM_BEGAN).as_event()])["payload"]
    assert alone["subject"] == message(ALARM_BEGAN).headline
    assert alone["body"] == message(ALARM_BEGAN).body
    both = [
        message(ALARM_BEGAN).as_event(),
        message(ALARM_ENDED, "site", why="no route").as_event(),
    ]
    told = told_together(both)
    assert told["payload"]["subject"] == "2 alarms: archive ars is down; site ars works again"
    for each in both:
        assert each["payload"]["subject"] in told["payload"]["body"]
        assert each["payload"]["body"] in told["payload"]["body"]
    assert told["payload"]["alarms"] == ["specimen.alarm.archive.ars", "specimen.alarm.site.ars"]
    assert len(told_together(both * 50)["payload"]["subject"]) == 200
