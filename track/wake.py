"""Waking: a session with work and nobody at it asks, once, for a dispatcher.

Whatever leaves a job `ready` or `returned` calls `wake` in its own transaction.
The session row is locked before leases are read, and parking updates that row
when it gives up its lease, so the two cannot miss each other.
"""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.tables import asset, dispatcher, job, session

CHANNEL = "refinery_announce"
"""Where an announcer listens; a lost notice costs only its next look at the clock."""


async def wake(tx: AsyncConnection, job_ids: Iterable[int]) -> list[UUID]:
    """Ask for a dispatcher for the sessions of these jobs that have none; those asked for."""
    of_jobs = select(asset.c.session_id).join(job).where(job.c.id.in_(sorted(set(job_ids))))
    return await _wake_those(tx, session.c.id.in_(of_jobs))


async def _wake_those(tx: AsyncConnection, which: ColumnElement[bool]) -> list[UUID]:
    """Lock the sessions, then read their leases.

    Many callbacks come at once: they share the lock of a session that has a dispatcher. One
    that seems to have none is locked for writing from the start, since two that share a lock
    and both want to write would wait for each other.
    """
    seems = select(session.c.id, _asks().label("asks")).where(which).order_by(session.c.id)
    found = (await tx.execute(seems)).all()
    ids = [row.id for row in found]
    rows = select(session.c.id).where(session.c.id.in_(ids)).order_by(session.c.id)
    share = not any(row.asks for row in found)
    await tx.execute(rows.with_for_update(read=share, key_share=not share))
    return await wake_sessions(tx, ids)


def _asks() -> ColumnElement[bool]:
    """Whether nobody is at a session and nobody was asked for."""
    alive = exists().where(
        dispatcher.c.session_id == session.c.id,
        dispatcher.c.ended_at.is_(None),
        dispatcher.c.alive_until > func.clock_timestamp(),
    )
    return session.c.wake_requested_at.is_(None) & ~alive


async def wake_sessions(tx: AsyncConnection, ids: Iterable[UUID]) -> list[UUID]:
    """The same for sessions whose rows the caller has locked."""
    ask = (
        update(session)
        .where(session.c.id.in_(list(ids)), _asks())
        .values(wake_requested_at=func.now(), wake_announced_at=None, finished_at=None)
        .returning(session.c.id)
    )
    asked = list((await tx.execute(ask)).scalars())
    if asked:
        await notify(tx)
    return asked


async def wake_session(tx: AsyncConnection, session_id: UUID) -> bool:
    """Ask for a dispatcher for one session, when none is at it."""
    return bool(await _wake_those(tx, session.c.id == session_id))


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
