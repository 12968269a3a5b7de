"""What a call brought too late to be taken: nobody loses it without a word.

The job it was for warns, and history says what it was. The call itself stays in the inbox.
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from track.commands.legacy import BoundJob, warn
from track.jobs.attempts import Attempt
from track.schema.history import record

LATE = "job.late"
"""How history calls it that something came too late for its job."""


async def note_late(tx: AsyncConnection, at: BoundJob, what: str) -> None:
    """Have the job warn that `what` was not taken, and why."""
    if at.attempt is None:
        why = f"the job was {at.state} and no site had been asked"
    elif at.returned:
        why = f"attempt {at.attempt.n} had come back"
    else:
        why = f"attempt {at.attempt.n} was over and the job {at.state}"
    told = f"{what} came too late and was not taken: {why}"
    await warn(tx, at.job_id, told)
    await record(
        tx,
        actor="script" if at.attempt is None else f"attempt:{at.attempt.id}",
        what=LATE,
        asset_guid=at.guid,
        job_id=at.job_id,
        attempt_id=None if at.attempt is None else at.attempt.id,
        why=told,
    )


async def note_late_result(tx: AsyncConnection, of: Attempt) -> None:
    """Have a job warn that an attempt's result showed at its site only when it was over."""
    told = (
        f"attempt {of.n} had a result after all: it showed at {of.site} only when that attempt "
        "had been declared over, and was not taken"
    )
    await warn(tx, of.job_id, told)
    actor = f"attempt:{of.id}"
    row = {"asset_guid": of.guid, "job_id": of.job_id, "attempt_id": of.id}
    await record(tx, actor=actor, what=LATE, why=told, **row)
