"""What people are told of an alarm: a headline and a few plain lines, ready to be read.

What begins or ends at about the same time is one message: an outage seldom comes alone. Reasons
are the words of files, sites and archives, so they are made one line of bounded length here;
whoever delivers a message escapes it for the medium, since it is plain text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from schemas.events import (
    ALARM_BEGAN,
    ALARM_CONTINUES,
    ALARM_ENDED,
    ALARMS_TOLD,
    ARCHIVE_DOWN,
    ARCHIVE_UP,
    SERVICE_SILENT,
    STAGE_FAILING,
    STORAGE_FILLING,
    system_event,
)

MAX_CHARACTERS = 600
"""Of a reason in a message: an error's text may be a page."""

MAX_SUBJECT = 200
"""Of the subject of a message about several alarms."""

COMES_AND_GOES = "It was so shortly before: its end is told once it has been well for ten minutes."


@dataclass(frozen=True)
class AlarmKind:
    """How an alarm of a kind of thing reads, and which events tell of it beside `specimen.alarm.*`.

    `subject` with its name, then `begun`, `lasting` or `over`, is the subject of the message.
    """

    subject: str
    begun: str
    lasting: str
    over: str
    begins: str | None = None
    ends: str | None = None


KINDS = {
    "archive": AlarmKind(
        "archive {}", "is down", "is still down", "is up again", ARCHIVE_DOWN, ARCHIVE_UP
    ),
    "stage": AlarmKind("stage {}", "fails", "still fails", "does not fail any more", STAGE_FAILING),
    "service": AlarmKind(
        "service {}", "is silent", "is still silent", "is heard of again", SERVICE_SILENT
    ),
    "agent": AlarmKind(
        "agent {}", "does not work", "still does not work", "works again", SERVICE_SILENT
    ),
    "storage": AlarmKind(
        "storage {}", "fills up", "still fills up", "has room again", STORAGE_FILLING
    ),
    # Its driver announces the change at once, as specimen.site.degraded and .recovered.
    "site": AlarmKind("site {}", "is degraded", "is still degraded", "works again"),
    # Each job is announced by itself, as hpc.job.overdue.
    "overdue": AlarmKind(
        "jobs at {}", "are overdue", "are still overdue", "are not overdue any more"
    ),
}
"""Everything that may be wrong, by the kind that history calls it by."""


@dataclass(frozen=True)
class Subject:
    """What an alarm is about: one of KINDS and its name."""

    kind: str
    name: str
    pipeline: str | None = None

    @property
    def what(self) -> str:
        """How history calls it."""
        return f"alarm.{self.kind}.{self.name}"

    @property
    def title(self) -> str:
        """How people call it."""
        return KINDS[self.kind].subject.format(self.name)


@dataclass(frozen=True)
class AlarmMessage:
    """What people are told of a subject: `event` says whether it began, continues or ended.

    It is or was so `since` then, up to `at`, and is told at `told_at`; `again`: it began soon
    after its last end.
    """

    event: str
    subject: Subject
    since: datetime
    at: datetime
    why: str
    remedy: str
    told_at: datetime
    again: bool = False

    @property
    def headline(self) -> str:
        """One line: what, how it is now, and since when."""
        kind, since = KINDS[self.subject.kind], self.since.astimezone()
        words = {
            ALARM_BEGAN: f"{kind.begun} (since {since:%H:%M %Z})",
            ALARM_CONTINUES: f"{kind.lasting} (since {since:%Y-%m-%d %H:%M %Z})",
            ALARM_ENDED: f"{kind.over} (after {lasted(self.at - self.since)})",
        }
        return one_line(f"{self.subject.title} {words[self.event]}")

    @property
    def body(self) -> str:
        """Plain text: why, what to do, since when. Nothing in it is markup."""
        since = f"since {self.since.astimezone():%Y-%m-%d %H:%M %Z}"
        if self.event == ALARM_ENDED:
            return f"It was so {since}: {one_line(self.why)}"
        lines = [f"Why: {one_line(self.why)}"]
        if self.remedy:
            lines.append(f"What to do: {one_line(self.remedy)}")
        if self.again:
            lines.append(COMES_AND_GOES)
        return "\n".join([*lines, f"It is so {since}."])

    def as_event(self) -> dict[str, Any]:
        """The event that an automation delivers."""
        about = f"{self.subject.kind}.{self.subject.name}"
        payload = {
            "kind": self.subject.kind,
            "name": self.subject.name,
            "subject": self.headline,
            "body": self.body,
            "why": self.why,
            "remedy": self.remedy,
            "since": self.since.isoformat(),
        }
        return system_event(
            self.event, "alarm", about, pipeline=self.subject.pipeline, payload=payload
        )


def told_together(alarms: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The event by which people are told of one alarm or several, given those alarms' events."""
    messages = [each["payload"] for each in alarms]
    subject, body = messages[0]["subject"], messages[0]["body"]
    if len(messages) > 1:
        # The times are in the text; without them more of what is wrong is read at a glance.
        brief = "; ".join(each["subject"].partition(" (")[0] for each in messages)
        subject = one_line(f"{len(messages)} alarms: {brief}", MAX_SUBJECT)
        body = "\n\n".join(f"{each['subject']}\n{each['body']}" for each in messages)
    of = [each["resource"]["prefect.resource.id"] for each in alarms]
    payload = {"subject": subject, "body": body, "alarms": of}
    return system_event(ALARMS_TOLD, "alarms", "people", payload=payload)


def one_line(words: str, longest: int = MAX_CHARACTERS) -> str:
    """A text of others as one line of bounded length, without characters that steer a display."""
    kept = "".join(each if each.isprintable() else " " for each in words)
    line = " ".join(kept.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def lasted(time: timedelta) -> str:
    """A duration for people: 40 s, 12 min, 3 h 10 min, 2 d 4 h."""
    seconds = max(0, round(time.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
