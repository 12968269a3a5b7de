"""Taking over from a dispatcher that ended: what it held goes back, and no try is used.

Built-in stages probe before they act, so one that was claimed is simply claimed
again; a job that a site holds needs nobody to hold its hand.
"""

from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.edges import HELD
from track.jobs.leases import session_key
from track.jobs.moves import move_all
from track.jobs.resolve import resolve
from track.records.wake import wake
from track.schema.arrays import any_of
from track.schema.states import State
from track.schema.tables import asset, dispatcher, job


async def release_jobs(
    tx: AsyncConnection, session_id: UUID, *, actor: str, keep: UUID | None = None
) -> list[int]:
    """Put what dead or ended dispatchers of a session still hold back to ready.

    `keep` is the caller's own live dispatcher; without one, nothing is taken while anybody
    holds the session's lock. Returned jobs only lose their holder.
    """
    if keep is None and not await _nobody_holds(tx, session_id):
        return []
    await _end_dead(tx, session_id, keep)
    alive = select(dispatcher.c.id).where(dispatcher.c.ended_at.is_(None))
    held = (
        select(job.c.id, job.c.state)
        .join(asset, asset.c.guid == job.c.asset_guid)
        .where(asset.c.session_id == session_id, job.c.dispatcher_id.is_not(None), HELD)
        .where(job.c.dispatcher_id.not_in(alive))
    )
    if keep is not None:
        held = held.where(job.c.dispatcher_id != keep)
    rows = (await tx.execute(held.order_by(job.c.id).with_for_update(key_share=True, of=job))).all()
    claimed = [row.id for row in rows if row.state == State.CLAIMED]
    returned = [row.id for row in rows if row.state == State.RETURNED]
    why = "its dispatcher ended"
    moved = await move_all(tx, claimed, State.CLAIMED, State.READY, actor=actor, why=why)
    await tx.execute(update(job).where(any_of(job.c.id, returned)).values(dispatcher_id=None))
    await resolve(tx, moved)
    await wake(tx, [*moved, *returned])
    return moved


async def _nobody_holds(tx: AsyncConnection, session_id: UUID) -> bool:
    """Whether the session's lock is free: a row that looks dead may belong to a slow process."""
    free = select(func.pg_try_advisory_xact_lock(session_key(session_id)))
    return bool((await tx.execute(free)).scalar_one())


async def _end_dead(tx: AsyncConnection, session_id: UUID, keep: UUID | None) -> None:
    """End the rows whose time is over, before anything is taken from them.

    A process that only stood still cannot claim after that, and what it is just claiming is
    waited for.
    """
    dead = select(dispatcher.c.id).where(
        dispatcher.c.session_id == session_id,
        dispatcher.c.ended_at.is_(None),
        dispatcher.c.alive_until <= func.clock_timestamp(),
    )
    if keep is not None:
        dead = dead.where(dispatcher.c.id != keep)
    ids = list((await tx.execute(dead.order_by(dispatcher.c.id).with_for_update())).scalars())
    end = update(dispatcher).where(any_of(dispatcher.c.id, ids))
    await tx.execute(end.values(ended_at=func.now(), ended_why="its lease ran out"))
