"""Batches that a site did not take, of which it is known that no job exists.

Their attempts go back to its queue, from where they are sent again in another batch, or move
to another site.
"""

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.batches import mark_refused, note_pending
from track.schema.tables import batch

HOLD = text("""
    SELECT id, started_by IS NOT NULL AS started,
           closed_at IS NULL AND cancel_requested_at IS NOT NULL AS unwanted
    FROM track.attempt WHERE batch_id = :batch
    ORDER BY id FOR NO KEY UPDATE
""")
BACK = text("""
    UPDATE track.attempt SET batch_id = NULL, member = NULL
    WHERE batch_id = :batch AND closed_at IS NULL
""")


async def put_back(tx: AsyncConnection, batch_id: int, why: str) -> list[int] | None:
    """Close such a batch; its attempts are queued as before, and their jobs say why.

    Those of which somebody asked that they stop are told: nobody else ends them now. None,
    and nothing is changed, when one was started after all.
    """
    rows = (await tx.execute(HOLD, {"batch": batch_id})).all()
    if any(row.started for row in rows):
        return None
    await note_pending(tx, batch_id, why)
    await tx.execute(BACK, {"batch": batch_id})
    await mark_refused(tx, batch_id)
    return [row.id for row in rows if row.unwanted]


async def stages_there(tx: AsyncConnection, site: str) -> set[int]:
    """The stages of which a site has jobs of ours that it took."""
    mine = select(batch.c.stage_id).where(
        batch.c.site == site, batch.c.state == "submitted", batch.c.ended_at.is_(None)
    )
    return set((await tx.execute(mine.distinct())).scalars())
