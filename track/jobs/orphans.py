"""Putting back what a subflow held when it broke without saying where its job goes.

A fault of ours, Prefect away while the run was to be made: the job would be held for as
long as its dispatcher lives, and the dispatcher live for as long as the job is held.
"""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs import verbs
from track.jobs.edges import HELD
from track.jobs.moves import Guard
from track.schema.arrays import any_of
from track.schema.states import State
from track.schema.tables import job

MENDING_S = 30.0
"""How long such a job rests before it is put back, so that nothing breaks in a tight loop."""

AT_MOST_S = 1800.0
"""What its pause after that grows to, from a second, when it breaks again and again."""


async def put_back(tx: AsyncConnection, broken: Mapping[int, str], dispatcher_id: UUID) -> None:
    """Let go of those of these jobs that this dispatcher still holds; values say what broke.

    A claimed one is ready again, and no try is used; what came back from a site is finished
    and only waits for somebody to do its last effects.
    """
    held = select(job.c.id, job.c.state).where(
        any_of(job.c.id, broken), job.c.dispatcher_id == dispatcher_id, HELD
    )
    rows = (await tx.execute(held.order_by(job.c.id).with_for_update(key_share=True))).all()
    for row in rows:
        if row.state != State.CLAIMED:
            await tx.execute(update(job).where(job.c.id == row.id).values(dispatcher_id=None))
            continue
        await verbs.try_again(
            tx,
            row.id,
            actor=f"dispatcher:{dispatcher_id}",
            why=broken[row.id],
            uses_try=False,
            guard=Guard(dispatcher_id=dispatcher_id),
            delay_s=1.0,
            grows_to_s=AT_MOST_S,
        )
