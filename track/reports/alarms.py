"""Alarms: what is wrong with a part of the system, announced once when it begins and when it ends.

The history has what was announced last of each subject, so that whoever looks every minute
announces nothing twice, and a look that dies before its transaction ends has announced nothing.
"""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import system_event
from track.records.outbox import announce
from track.schema.database import SERVICE
from track.schema.history import record

ACTOR = "reconcile"
ON, OFF = "on", "off"

WORKER = "worker of "
"""What the names of Prefect's workers begin with among the services: they have no connection."""

# The condition is that of the index history_alarm.
LAST = text("""
    SELECT new FROM track.history WHERE what LIKE 'alarm.%' AND what = :what
    ORDER BY id DESC LIMIT 1
""")
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
class Subject:
    """What an alarm is about: a kind of thing and its name, and the events that tell of it.

    `begins` is announced when it goes wrong, `ends`, if there is one, when it is well again.
    """

    kind: str  # archive, stage, service, storage
    name: str
    begins: str
    ends: str | None = None
    pipeline: str | None = None

    @property
    def what(self) -> str:
        """How history calls it."""
        return f"alarm.{self.kind}.{self.name}"


async def set_alarm(
    tx: AsyncConnection, subject: Subject, trouble: str | None, remedy: str = ""
) -> bool:
    """Announce that a subject is in trouble, or (None) well; False when that is known.

    One that was never in trouble is well. To be called by one at a time.
    """
    before = await last_said(tx, subject)
    now = OFF if trouble is None else ON
    if now == (before or OFF):
        return False
    why = trouble or "it is well again"
    await record(tx, actor=ACTOR, what=subject.what, old=before, new=now, why=why)
    event = subject.begins if trouble is not None else subject.ends
    if event is not None:
        since = (await tx.execute(text("SELECT now()"))).scalar_one()
        payload = {subject.kind: subject.name, "why": why, "since": since.isoformat()}
        if remedy and trouble is not None:
            payload["remedy"] = remedy
        found = system_event(
            event, subject.kind, subject.name, pipeline=subject.pipeline, payload=payload
        )
        await announce(tx, found, key=f"{event}|{subject.name}|{since.isoformat()}")
    return True


async def note_known(tx: AsyncConnection, subject: Subject) -> None:
    """Record that there is such a subject, and that it is well, the first time it is seen."""
    if await last_said(tx, subject) is None:
        await record(tx, actor=ACTOR, what=subject.what, new=OFF, why="heard of")


async def last_said(tx: AsyncConnection, subject: Subject) -> str | None:
    """What was announced last of a subject: `on`, `off`, or None when it was never heard of."""
    return (await tx.execute(LAST, {"what": subject.what})).scalar_one_or_none()


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
