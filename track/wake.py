"""Waking: a session with work and nobody at it asks, once, for a dispatcher.

Whatever leaves a job `ready` or `returned` calls `wake` in its own transaction.
The session row is locked before leases are read, and parking updates that row
when it gives up its lease, so the two cannot miss each other.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.tables import session

CHANNEL = "refinery_announce"
"""Where an announcer listens; a lost notice costs only its next look at the clock."""


# Written out and made once: every callback runs them, and building them costs it more than
# the database takes to answer.
ASKS = """s.wake_requested_at IS NULL AND NOT EXISTS (
    SELECT 1 FROM track.dispatcher d WHERE d.session_id = s.id
       AND d.ended_at IS NULL AND d.alive_until > clock_timestamp())
"""
"""Nobody is at a session and nobody was asked for."""
OF_JOBS = text(f"""
    SELECT s.id, {ASKS} AS asks FROM track.session s WHERE s.id IN (
        SELECT a.session_id FROM track.job j JOIN track.asset a ON a.guid = j.asset_guid
         WHERE j.id = ANY(:jobs))
""")
ONE = text(f"SELECT s.id, {ASKS} AS asks FROM track.session s WHERE s.id = :session")
SHARE = text("SELECT 1 FROM track.session WHERE id = ANY(:ids) ORDER BY id FOR SHARE")
HOLD = text("SELECT 1 FROM track.session WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE")
ASK = text(f"""
    UPDATE track.session s
       SET wake_requested_at = now(), wake_announced_at = NULL, finished_at = NULL
     WHERE s.id = ANY(:ids) AND {ASKS} RETURNING s.id
""")


async def wake(tx: AsyncConnection, job_ids: Iterable[int]) -> list[UUID]:
    """Ask for a dispatcher for the sessions of these jobs that have none; those asked for."""
    return await _wake_those(tx, (await tx.execute(OF_JOBS, {"jobs": list(job_ids)})).all())


async def _wake_those(tx: AsyncConnection, found: Sequence[Row[Any]]) -> list[UUID]:
    """Lock the sessions, then read their leases.

    Many callbacks come at once: they share the lock of a session that has a dispatcher. One
    that seems to have none is locked for writing from the start, since two that share a lock
    and both want to write would wait for each other.
    """
    if not found:
        return []
    ids = [row.id for row in found]
    await tx.execute(HOLD if any(row.asks for row in found) else SHARE, {"ids": ids})
    return await wake_sessions(tx, ids)


async def wake_sessions(tx: AsyncConnection, ids: Iterable[UUID]) -> list[UUID]:
    """The same for sessions whose rows the caller has locked."""
    asked = list((await tx.execute(ASK, {"ids": list(ids)})).scalars())
    if asked:
        await notify(tx)
    return asked


async def wake_session(tx: AsyncConnection, session_id: UUID) -> bool:
    """Ask for a dispatcher for one session, when none is at it."""
    return bool(await _wake_those(tx, (await tx.execute(ONE, {"session": session_id})).all()))


async def notify(tx: AsyncConnection) -> None:
    """Tell announcers, when this transaction commits, that there is something to announce."""
    await tx.execute(text(f"NOTIFY {CHANNEL}"))


async def unannounced(tx: AsyncConnection) -> list[tuple[UUID, str]]:
    """(session, time asked) of the wakes that the events API has not accepted yet."""
    columns = select(session.c.id, session.c.wake_requested_at)
    open_ = session.c.wake_requested_at.is_not(None) & session.c.wake_announced_at.is_(None)
    return [
        (row.id, row.wake_requested_at.isoformat())
        for row in await tx.execute(columns.where(open_))
    ]


async def mark_announced(tx: AsyncConnection, session_id: UUID) -> None:
    """Note that the events API has accepted the session's wake event."""
    mark = update(session).where(session.c.id == session_id)
    await tx.execute(mark.values(wake_announced_at=func.now()))
