"""Alarms: what is wrong with a part of the system, told when it begins, daily, and when it ends.

The history has what was told last of each subject, so that whoever looks every minute tells
nothing twice, and a look that dies before its transaction ends has told nothing.

Two kinds of event tell of it. The name that says what is wrong (`specimen.stage.failing`) is for
automations that do something about it. People read `specimen.alarm.began`, `.continues` and
`.ended`, which are the same for every kind and carry the message ready to be read: one automation
delivers all of them, and whoever waits for the end of anything finds it under one name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.events import ALARM_BEGAN, ALARM_CONTINUES, ALARM_ENDED, system_event
from track.records.outbox import announce
from track.reports.alarm_messages import KINDS, AlarmMessage, Subject
from track.schema.database import SERVICE, transact
from track.schema.history import record

ACTOR = "reconcile"
ON, OFF = "on", "off"

RECONCILE = "reconcile"
"""The service that looks at all others; another looks at it."""

DISPATCHERS = "dispatchers"
"""All of them as one service: each ends, and none is missed while its sessions go on."""

UNCONNECTED = (DISPATCHERS, RECONCILE)
"""Services without a lasting connection: they come and go, and what was announced counts."""

WORKER = "worker of "
"""What the names of Prefect's workers begin with among the services: they have no connection."""

AGAIN = timedelta(days=1)
"""How often a trouble that lasts is told again."""

# The condition is that of the index history_alarm, here and below.
LAST = text("""
    SELECT new AS state, at, why, now() AS looked_at
    FROM track.history WHERE what LIKE 'alarm.%' AND what = :what
    ORDER BY id DESC LIMIT 1
""")
BEGAN = text("""
    SELECT at FROM track.history
    WHERE what LIKE 'alarm.%' AND what = :what AND new = 'on' AND old IS DISTINCT FROM 'on'
    ORDER BY id DESC LIMIT 1
""")
ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:what, 0))")
RAISED = text("""
    WITH RECURSIVE subject AS (  -- from one to the next, however often each was announced
        (SELECT what FROM track.history WHERE what LIKE 'alarm.%' ORDER BY what LIMIT 1)
        UNION ALL
        SELECT (SELECT h.what FROM track.history h
                 WHERE h.what LIKE 'alarm.%' AND h.what > subject.what ORDER BY h.what LIMIT 1)
        FROM subject WHERE subject.what IS NOT NULL
    )
    SELECT subject.what, last.new
    FROM subject
    CROSS JOIN LATERAL (SELECT h.new FROM track.history h
                         WHERE h.what LIKE 'alarm.%' AND h.what = subject.what
                         ORDER BY h.id DESC LIMIT 1) last
    WHERE starts_with(subject.what, :prefix)
""")


@dataclass(frozen=True)
class Said:
    """What was told last of a subject, when, and the database's time of this look."""

    state: str
    at: datetime
    why: str
    looked_at: datetime


async def set_alarm(
    tx: AsyncConnection, subject: Subject, trouble: str | None, remedy: str = ""
) -> str | None:
    """Have it told that a subject is in trouble, or (None) well: the event, None if known.

    One that was never in trouble is well; one that stays in trouble is told of again after a
    day. Any number of processes may look at the same time.
    """
    if _news(await last_said(tx, subject), trouble) is None:
        return None
    await tx.execute(ONE_AT_A_TIME, {"what": subject.what})
    before = await last_said(tx, subject)
    if (event := _news(before, trouble)) is None:
        return None
    now = (await tx.execute(text("SELECT now()"))).scalar_one()
    since = now if event == ALARM_BEGAN else await began(tx, subject)
    why = trouble or (before.why if before else "")
    told = AlarmMessage(event, subject, since or now, now, why, remedy if trouble else "")
    await record(
        tx,
        actor=ACTOR,
        what=subject.what,
        old=before.state if before else None,
        new=OFF if trouble is None else ON,
        why=trouble or "it is well again",
    )
    await _announce_by_name(tx, told)
    await announce(tx, told.as_event(), key=f"{event}|{subject.what}|{now.isoformat()}")
    return event


async def set_alarms(
    engine: AsyncEngine, troubles: Mapping[Subject, str | None], remedy: str
) -> list[str]:
    """The same of several subjects, each in a transaction of its own; a line for each told of."""
    lines = []
    for subject, trouble in troubles.items():
        if await transact(engine, set_alarm, subject, trouble, remedy):
            lines.append(f"{subject.title}: {trouble or 'it is well again'}")
    return lines


def _news(before: Said | None, trouble: str | None) -> str | None:
    """The event that is to be told now, if any."""
    on = before is not None and before.state == ON
    if trouble is None:
        return ALARM_ENDED if on else None
    if not on:
        return ALARM_BEGAN
    return ALARM_CONTINUES if before and before.looked_at - before.at >= AGAIN else None


async def _announce_by_name(tx: AsyncConnection, told: AlarmMessage) -> None:
    """Announce what begins or ends under the name that says what it is, where there is one."""
    subject, kind = told.subject, KINDS[told.subject.kind]
    event = {ALARM_BEGAN: kind.begins, ALARM_ENDED: kind.ends}.get(told.event)
    if event is None:
        return
    payload = {subject.kind: subject.name, "why": told.why, "since": told.since.isoformat()}
    if told.remedy:
        payload["remedy"] = told.remedy
    found = system_event(
        event, subject.kind, subject.name, pipeline=subject.pipeline, payload=payload
    )
    await announce(tx, found, key=f"{event}|{subject.name}|{told.at.isoformat()}")


async def began(tx: AsyncConnection, subject: Subject) -> datetime | None:
    """When the trouble of a subject began that was told of last; None: never."""
    found: datetime | None = (await tx.execute(BEGAN, {"what": subject.what})).scalar_one_or_none()
    return found


async def note_known(tx: AsyncConnection, subject: Subject) -> None:
    """Record that there is such a subject, and that it is well, the first time it is seen."""
    if await last_said(tx, subject) is not None:
        return
    await tx.execute(ONE_AT_A_TIME, {"what": subject.what})
    if await last_said(tx, subject) is None:
        await record(tx, actor=ACTOR, what=subject.what, new=OFF, why="heard of")


async def last_said(tx: AsyncConnection, subject: Subject) -> Said | None:
    """What was told last of a subject; None when it was never heard of."""
    row = (await tx.execute(LAST, {"what": subject.what})).one_or_none()
    return None if row is None else Said(row.state, row.at, row.why or "", row.looked_at)


async def is_on(tx: AsyncConnection, subject: Subject) -> bool:
    """Whether a subject's trouble was told of and has not ended."""
    said = await last_said(tx, subject)
    return said is not None and said.state == ON


async def said_of(tx: AsyncConnection, kind: str) -> dict[str, str]:
    """What was announced last of every subject of a kind, by its name."""
    prefix = f"alarm.{kind}."
    rows = await tx.execute(RAISED, {"prefix": prefix})
    return {row.what.removeprefix(prefix): row.new for row in rows}


CONNECTIONS = text("""
    SELECT application_name AS name, CAST(extract(epoch FROM clock_timestamp()
               - max(greatest(backend_start, state_change))) AS float) AS silent_s
    FROM pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, :prefix)
    GROUP BY application_name
""")


@dataclass(frozen=True)
class Heard:
    """A service, and for how many seconds it has asked nothing."""

    name: str
    silent_s: float


async def services_heard(tx: AsyncConnection) -> list[Heard]:
    """The services that are connected to the database; each asks something every few seconds."""
    rows = await tx.execute(CONNECTIONS, {"prefix": SERVICE})
    return [Heard(row.name.removeprefix(SERVICE), row.silent_s) for row in rows]
