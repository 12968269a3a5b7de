"""The end of an asset's road: what is noted in the transaction that finishes its last stage.

Here and nowhere else an asset becomes final: a stage that has to be done again meanwhile
finishes too, and must leave none of this behind.
"""

from datetime import timedelta

from sqlalchemy import distinct, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.records.files import due_for_removal, read_asset
from track.schema.tables import asset, attempt, job

KEEP = {"ndrive": timedelta(days=7), "store": timedelta(days=1), "site": timedelta(hours=1)}
"""How long each kind of temporary copy outlives the end of its asset."""


async def note_end(tx: AsyncConnection, guid: str) -> None:
    """Note that an asset is final, and enter the copies it no longer needs into the due table.

    Prune looks for the copies that must exist before it deletes any.
    """
    mine = update(asset).where(asset.c.guid == guid)
    final = func.coalesce(asset.c.finalised_at, func.now())
    await tx.execute(mine.values(finalised_at=final, reopened_at=None))
    row = await read_asset(tx, guid)
    if row.source_path is not None:
        await due_for_removal(tx, guid, "ndrive", str(row.source_path), keep=KEEP["ndrive"])
    if row.local_path is not None:
        await due_for_removal(tx, guid, "store", str(row.local_path), keep=KEEP["store"])
    visited = (
        select(distinct(attempt.c.site))
        .join(job, job.c.id == attempt.c.job_id)
        .where(job.c.asset_guid == guid)
    )
    for site in (await tx.execute(visited)).scalars():
        await due_for_removal(tx, guid, "site", site, keep=KEEP["site"])
