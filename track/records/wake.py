"""Waking: a session with work and nobody at it asks, once, for a dispatcher.

Whatever leaves a job `ready` or `returned` calls `wake` in its own transaction; the event for
Prefect is put into the outbox with it, and the dispatcher that is at the session is notified of it.
A job that may run only later asks for nobody yet: its time is noted, and `track.jobs.parking` asks
then. The session row is locked before leases are read, and parking updates that row when it gives
up its lease, so the two cannot miss each other.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import CTE, ScalarSelect, Text, case, cast, func, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

ASK = text("SELECT track.ask_for_dispatchers(:sessions, '{}')")
SESSION_CHANNEL = "refinery_session"
"""Where dispatchers listen: a session's id, and those of its jobs unless they are very many."""

MAX_NAMED = 300
"""Jobs that one notice names: PostgreSQL takes less than 8,000 bytes of it."""

ASK_FOR_JOBS = text(f"""
    SELECT track.ask_for_dispatchers(array_agg(mine.id), array_agg(mine.due)) FROM (
        SELECT j.session_id AS id,
               min(CASE WHEN j.state = 'ready' THEN j.available_at ELSE now() END) AS due,
               pg_notify('{SESSION_CHANNEL}', concat_ws(' ', j.session_id,
                   CASE WHEN count(*) <= {MAX_NAMED} THEN string_agg(j.id::text, ' ') END
               )) AS notified
          FROM track.job j WHERE j.id = ANY(:jobs) GROUP BY j.session_id) mine
""")


SITE_CHANNEL = "refinery_site"
"""Where drivers and agents' claims listen: the name of a site whose queue may have changed."""


async def notify_driver(tx: AsyncConnection, site: str) -> None:
    """Have a site's driver look now rather than at its next tick."""
    await tx.execute(text(f"SELECT pg_notify('{SITE_CHANNEL}', :site)"), {"site": site})


async def wake(tx: AsyncConnection, job_ids: Iterable[int]) -> list[UUID]:
    """Ask for a dispatcher for the sessions of these jobs that have none; those asked for.

    Whoever may run only later is noted for then, and not among them.
    """
    jobs = list(job_ids)
    return list((await tx.execute(ASK_FOR_JOBS, {"jobs": jobs})).scalars()) if jobs else []


def asking(jobs: CTE) -> ScalarSelect[int]:
    """The same in the statement that moves these jobs, for which there is something to do now.

    How many dispatchers were asked for; nobody is asked unless that is read.
    """
    session_id = jobs.c.session_id
    names = case((func.count() <= MAX_NAMED, func.string_agg(cast(jobs.c.id, Text), " ")))
    notified = func.pg_notify(SESSION_CHANNEL, func.concat_ws(" ", session_id, names))
    mine = select(session_id.label("id"), notified)
    sessions = mine.group_by(session_id).subquery("mine")
    wanted = func.array_agg(sessions.c.id)
    nothing_later: Any = literal_column("'{}'")
    asked = select(func.track.ask_for_dispatchers(wanted, nothing_later).label("id"))
    return select(func.count()).select_from(asked.subquery("asked")).scalar_subquery()


async def wake_session(tx: AsyncConnection, session_id: UUID) -> bool:
    """Ask for a dispatcher for one session, when none is at it."""
    return bool(await wake_sessions(tx, [session_id]))


async def wake_sessions(tx: AsyncConnection, session_ids: Iterable[UUID]) -> list[UUID]:
    """Ask for dispatchers for those of these sessions that have none; those asked for."""
    wanted = list(session_ids)
    return list((await tx.execute(ASK, {"sessions": wanted})).scalars()) if wanted else []
