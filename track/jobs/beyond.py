"""What a job says in the end that ran out of time or memory with all that its site allows."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

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
