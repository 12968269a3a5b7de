"""Jobs as they are read under their locks: what is decided on stays true until the commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.moves import lock
from track.schema.arrays import any_of
from track.schema.states import State
from track.schema.tables import attempt, job, stage


@dataclass(frozen=True)
class LockedJob:
    """A job as it is read under its lock."""

    id: int
    state: State
    guid: str
    stage_id: int
    attempt_id: int | None
    tries: int
    retries: int
    redo: bool
    cancel_requested: bool
    finalises: bool  # its stage is the last of its asset
    pauses: int
    at: datetime


async def locked_jobs(tx: AsyncConnection, job_ids: Sequence[int]) -> list[LockedJob]:
    """Lock jobs and read how they stand, by their ids; those that there are."""
    await lock(tx, job_ids)
    finalises = (stage.c.kind == "builtin") & (stage.c.run == "finalise")
    statement = (
        select(
            *(job.c[each] for each in ("id", "state", "stage_id", "attempt_id", "tries", "redo")),
            job.c.pauses,
            job.c.asset_guid.label("guid"),
            stage.c.retries,
            attempt.c.cancel_requested_at.is_not(None).label("cancel_requested"),
            finalises.label("finalises"),
            func.now().label("at"),
        )
        .join(stage, stage.c.id == job.c.stage_id)
        .outerjoin(attempt, attempt.c.id == job.c.attempt_id)
        .where(any_of(job.c.id, job_ids))
        .order_by(job.c.id)
    )
    rows = (await tx.execute(statement)).mappings()
    return [LockedJob(**{**row, "state": State(row["state"])}) for row in rows]


async def locked_job(tx: AsyncConnection, job_id: int) -> LockedJob:
    """Lock a job and read how it stands."""
    (found,) = await locked_jobs(tx, [job_id])
    return found
