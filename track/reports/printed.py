"""The end of what modules printed, as their runners reported it."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# By the unique key of a job's attempts, from its end: one row is read for each job.
LAST = text("""
    SELECT j.id, t.n, t.site, t.outcome, t.external_id, t.result ->> 'printed' AS printed
    FROM unnest(CAST(:jobs AS bigint[])) AS j(id)
    CROSS JOIN LATERAL (
        SELECT n, site, outcome, external_id, result FROM track.attempt
        WHERE job_id = j.id AND closed_at IS NOT NULL ORDER BY n DESC LIMIT 1
    ) t
    WHERE t.result ->> 'printed' <> ''
""")


@dataclass(frozen=True)
class PrintedEnd:
    """What the last attempt of a job that is over printed last, and how it ended."""

    n: int
    site: str
    outcome: str
    external_id: str | None
    text: str


async def printed_ends(tx: AsyncConnection, jobs: Collection[int]) -> dict[int, PrintedEnd]:
    """What was printed last for each of these jobs; of some nothing is known."""
    return {
        row.id: PrintedEnd(row.n, row.site, row.outcome, row.external_id, row.printed)
        for row in await tx.execute(LAST, {"jobs": list(jobs)})
    }
