"""Releasing what is held by nobody who acts: a dispatcher that ended, a subflow that broke.

No try is used. Built-in stages probe before they act, so one that was claimed is simply
claimed again; a job that a site has needs no holder.
"""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs import verbs
from track.jobs.edges import HELD
from track.jobs.leases import session_key
from track.jobs.moves import Guard, move_all
from track.jobs.resolve import resolve
from track.jobs.setbacks import Setback
from track.records.wake import wake
from track.schema.arrays import any_of, one_of
from track.schema.states import IN_HAND, State
from track.schema.tables import dispatcher, job

RELEASE_AFTER_S = 30.0
"""How long the job of a broken subflow is left alone, so that nothing breaks in a tight loop."""

MAX_PAUSE_S = 1800.0
"""What its pause after that grows to, from a second, when it breaks again and again."""


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
        .where(job.c.session_id == session_id, one_of(job.c.state, IN_HAND))
        .where(job.c.dispatcher_id.is_not(None), HELD)
        .where(job.c.dispatcher_id.not_in(alive), job.c.dispatcher_id.is_distinct_from(keep))
    )
    rows = (await tx.execute(held.order_by(job.c.id).with_for_update(key_share=True, of=job))).all()
    claimed = [row.id for row in rows if row.state == State.CLAIMED]
    returned = [row.id for row in rows if row.state == State.RETURNED]
    why = "its dispatcher ended"
    moved = await move_all(tx, claimed, State.CLAIMED, State.READY, actor=actor, why=why)
    await tx.execute(update(job).where(any_of(job.c.id, returned)).values(dispatcher_id=None))
    ready = await resolve(tx, moved)
    await wake(tx, {*moved, *ready, *returned})
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
        dispatcher.c.id.is_distinct_from(keep),
    )
    ids = list((await tx.execute(dead.order_by(dispatcher.c.id).with_for_update())).scalars())
    # Not when its successor looks: the record would have two at one session.
    succeeded_at = select(dispatcher.c.started_at).where(dispatcher.c.id == keep).scalar_subquery()
    over_at = func.coalesce(succeeded_at, func.now())
    end = update(dispatcher).where(any_of(dispatcher.c.id, ids))
    await tx.execute(end.values(ended_at=over_at, ended_why="its lease ran out"))


async def release_orphaned_jobs(
    tx: AsyncConnection, broken: Mapping[int, str], dispatcher_id: UUID
) -> None:
    """Release those of these jobs that this dispatcher still holds; values say what broke.

    Its subflow ended without saying where the job goes: a fault of ours, or Prefect away while
    the run was to be made. The job would be held for as long as its dispatcher lives, and the
    dispatcher live for as long as the job is held. A claimed one is ready again; what came back
    from a site is finished and only waits for somebody to do its last effects.
    """
    mine = any_of(job.c.id, broken) & (job.c.dispatcher_id == dispatcher_id)
    held = select(job.c.id, job.c.state).where(mine, HELD).order_by(job.c.id)
    rows = (await tx.execute(held.with_for_update(key_share=True))).all()
    back = [row.id for row in rows if row.state != State.CLAIMED]
    await tx.execute(update(job).where(any_of(job.c.id, back)).values(dispatcher_id=None))
    setbacks = {
        row.id: Setback(broken[row.id], delay_s=1.0, grows_to_s=MAX_PAUSE_S)
        for row in rows
        if row.state == State.CLAIMED
    }
    guard = Guard(dispatcher_id=dispatcher_id)
    await verbs.try_again_all(tx, setbacks, actor=f"dispatcher:{dispatcher_id}", guard=guard)
