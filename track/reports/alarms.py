"""Alarms: what is wrong with a part of the system, told when it begins, daily, and when it ends.

The history has what was told last of each subject, so that whoever looks every minute tells
nothing twice, and a look that dies before its transaction ends has told nothing.

What comes and goes does not send a message each time: of a trouble that began again soon after
its end, the next end is told only once it has stayed well for a while. What is seen in between is
recorded and not told.

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
from track.records.outbox import TOGETHER, announce
from track.reports.alarm_messages import KINDS, AlarmMessage, Subject
from track.schema.database import SERVICE, transact
from track.schema.history import record

ACTOR = "reconcile"
ON, OFF = "on", "off"
"""What people know of a subject: `new` of its latest row in the history, and `old` of one that
tells them something."""

WELL, TROUBLED = "well", "troubled"
"""`old` of a row that tells nothing: how a subject that comes and goes was seen to be meanwhile."""

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

SOON = timedelta(hours=1)
"""What begins again so soon after its end comes and goes."""

CALM = timedelta(minutes=10)
"""So long it must then have been well before that is told."""

# The condition is that of the index history_alarm, here and below.
LAST = text("""
    SELECT new AS state, old AS seen, at, why, now() AS looked_at
    FROM track.history WHERE what LIKE 'alarm.%' AND what = :what
    ORDER BY id DESC LIMIT 1
""")
BEGAN = text("""
    SELECT at FROM track.history
    WHERE what LIKE 'alarm.%' AND what = :what AND new = 'on' AND coalesce(old, 'off') = 'off'
    ORDER BY id DESC LIMIT 1
""")
TOLD = text("""
    SELECT at FROM track.history
    WHERE what LIKE 'alarm.%' AND what = :what AND new = 'on'
      AND coalesce(old, 'off') IN ('off', 'on')
    ORDER BY id DESC LIMIT 1
""")
ENDED = text("""
    SELECT at FROM track.history
    WHERE what LIKE 'alarm.%' AND what = :what AND new = 'off' AND old = 'on'
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
    """What was told last of a subject, when, and the database's time of this look.

    `seen` is WELL or TROUBLED where the latest row is of what comes and goes.
    """

    state: str
    seen: str | None
    at: datetime
    why: str
    looked_at: datetime


async def set_alarm(
    tx: AsyncConnection, subject: Subject, trouble: str | None, remedy: str = ""
) -> str | None:
    """Have it told that a subject is in trouble, or (None) well: the event, None if none is due.

    One that was never in trouble is well; one that stays in trouble is told of again after a
    day. Any number of processes may look at the same time.
    """
    if await _news(tx, subject, await last_said(tx, subject), trouble) is None:
        return None
    await tx.execute(ONE_AT_A_TIME, {"what": subject.what})
    before = await last_said(tx, subject)
    if (news := await _news(tx, subject, before, trouble)) is None:
        return None
    if news in (WELL, TROUBLED):
        why = trouble or (before.why if before else "")
        await record(tx, actor=ACTOR, what=subject.what, old=news, new=ON, why=why)
        return None
    told = await _message(tx, news, subject, before, trouble, remedy)
    await record(
        tx,
        actor=ACTOR,
        what=subject.what,
        old=before.state if before else None,
        new=OFF if trouble is None else ON,
        why=trouble or "it is well again",
    )
    await _announce_by_name(tx, told)
    key = f"{news}|{subject.what}|{told.told_at.isoformat()}"
    await announce(tx, told.as_event() | {TOGETHER: True}, key=key)
    return news


async def _message(
    tx: AsyncConnection,
    event: str,
    subject: Subject,
    before: Said | None,
    trouble: str | None,
    remedy: str,
) -> AlarmMessage:
    """What people are told now."""
    now: datetime = (await tx.execute(text("SELECT now()"))).scalar_one()
    begins = event == ALARM_BEGAN
    since = now if begins else await began(tx, subject) or now
    # One that comes and goes ended when it was seen to be well, not when that had lasted.
    at = before.at if before and event == ALARM_ENDED and before.seen == WELL else now
    why = trouble or (before.why if before else "")
    again = begins and await _ended_soon_before(tx, subject, now)
    return AlarmMessage(event, subject, since, at, why, remedy if trouble else "", now, again)


async def set_alarms(
    engine: AsyncEngine, troubles: Mapping[Subject, str | None], remedy: str
) -> list[str]:
    """The same of several subjects, each in a transaction of its own; a line for each told of."""
    lines = []
    for subject, trouble in troubles.items():
        if await transact(engine, set_alarm, subject, trouble, remedy):
            lines.append(f"{subject.title}: {trouble or 'it is well again'}")
    return lines


async def _news(
    tx: AsyncConnection, subject: Subject, before: Said | None, trouble: str | None
) -> str | None:
    """The event that is to be told now, or WELL or TROUBLED where that is only noted, if any."""
    if before is None or before.state != ON:
        return None if trouble is None else ALARM_BEGAN
    if trouble is not None:
        told_at = before.at
        if before.seen in (WELL, TROUBLED):
            told_at = (await tx.execute(TOLD, {"what": subject.what})).scalar_one()
        if before.looked_at - told_at >= AGAIN:
            return ALARM_CONTINUES
        return TROUBLED if before.seen == WELL else None
    if before.seen == WELL:
        return ALARM_ENDED if before.looked_at - before.at >= CALM else None
    since = await began(tx, subject)
    flaps = since is not None and await _ended_soon_before(tx, subject, since)
    return WELL if flaps else ALARM_ENDED


async def _ended_soon_before(tx: AsyncConnection, subject: Subject, began_at: datetime) -> bool:
    """Whether the end before the trouble that began then was told shortly before."""
    ended: datetime | None
    ended = (await tx.execute(ENDED, {"what": subject.what})).scalar_one_or_none()
    return ended is not None and began_at - ended < SOON


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
    await announce(tx, found, key=f"{event}|{subject.name}|{told.told_at.isoformat()}")


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
    return None if row is None else Said(row.state, row.seen, row.at, row.why or "", row.looked_at)


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
