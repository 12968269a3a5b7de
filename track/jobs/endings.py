"""The end of an asset, noted with its last stage, and that of a job that can get no more.

Here and nowhere else an asset becomes final: a stage that has to be done again meanwhile
finishes too, and must leave none of this behind.
"""

from datetime import timedelta

from sqlalchemy import distinct, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.records.files import due_for_removal, read_asset
from track.schema.tables import asset, attempt, job, stage

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
    visited = select(distinct(attempt.c.site)).join(job, job.c.id == attempt.c.job_id)
    sites = (await tx.execute(visited.where(job.c.asset_guid == guid))).scalars()
    copies = [("ndrive", row.source_path), ("store", row.local_path)]
    for kind, place in [*copies, *(("site", site) for site in sites)]:
        if place is not None:
            await due_for_removal(tx, guid, kind, str(place), keep=KEEP[kind])


# 138: ended by SIGUSR1, the scheduler's warning shortly before the time limit.
REACHED = text("""
    SELECT b.resources -> 'bounded' ->>
           CASE WHEN t.exit_code = 138 THEN 'timeout' ELSE t.outcome END
    FROM track.job j
    JOIN track.attempt t ON t.id = j.attempt_id
    JOIN track.batch b ON b.id = t.batch_id
    WHERE j.id = :job
""")


async def with_bounds(tx: AsyncConnection, job_id: int, why: str) -> str:
    """Why a job's last attempt failed and, where it could ask for no more of what ran out,
    whose limit that is."""
    reached = (await tx.execute(REACHED, {"job": job_id})).scalar_one_or_none()
    if reached is None:
        return why
    return f"{why}; it needs more than it can get there: {reached}"


async def is_final(tx: AsyncConnection, guid: str) -> bool:
    """Whether the end of an asset is noted."""
    noted = select(asset.c.finalised_at).where(asset.c.guid == guid)
    return (await tx.execute(noted)).scalar_one() is not None


async def to_be_locked(tx: AsyncConnection, job_id: int) -> bool:
    """Whether a job's stage asks for its asset to be locked in the archive at its end."""
    of_job = select(stage.c.params).join(job, job.c.stage_id == stage.c.id)
    params = (await tx.execute(of_job.where(job.c.id == job_id))).scalar_one()
    return bool(params.get("lock"))
