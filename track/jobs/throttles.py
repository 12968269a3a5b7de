"""The bound of the archive as a whole, beside those of the pipelines.

It stands in the one row of `track.pipeline` that is there always and is nobody's pipeline,
that of unreadable assets: what counts against pipelines' rows is locked and counted there.
"""

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.pipeline.load import Throttle
from track.schema.history import record
from track.schema.tables import pipeline

RESERVED = "UNREADABLE"
"""Its name; `track.commands.pipelines` makes it."""


async def set_archive_throttle(tx: AsyncConnection, bound: Throttle, *, actor: str) -> bool:
    """Bound what all pipelines together, derivatives' included, have in the archive.

    Whether that is another bound than before.
    """
    new = bound.model_dump(mode="json", exclude_none=True)
    mine = select(pipeline.c.throttle).where(pipeline.c.name == RESERVED)
    held = (await tx.execute(mine.with_for_update(key_share=True))).scalar_one()
    old = {name: value for name, value in held.items() if value is not None}
    if new == old:
        return False
    row = update(pipeline).where(pipeline.c.name == RESERVED)
    await tx.execute(row.values(throttle=new))
    await record(tx, actor=actor, what="archive.throttle", old=str(old), new=str(new))
    return True


async def archive_throttle(tx: AsyncConnection, *, to_count: bool = False) -> Throttle | None:
    """The bound, or None without one. `to_count` keeps others from counting until the end."""
    mine = select(pipeline.c.throttle).where(pipeline.c.name == RESERVED)
    found = Throttle.model_validate((await tx.execute(mine)).scalar_one_or_none() or {})
    if found == Throttle():
        return None
    if to_count:
        held = mine.with_for_update(key_share=True)
        found = Throttle.model_validate((await tx.execute(held)).scalar_one())
    return found
