"""The end of what modules printed, told by their runners, or by who found these killed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# By the unique key of a job's attempts, from its end: one row is read for each job, or a few.
LAST = text("""
    SELECT j.id, t.n, t.site, t.outcome, t.native_id, t.result ->> 'printed' AS printed
    FROM unnest(CAST(:jobs AS bigint[]), CAST(:ages AS float[])) AS j(id, age_s)
    CROSS JOIN LATERAL (
        SELECT n, site, outcome, coalesce(external_id, started_by) AS native_id, result
        FROM track.attempt
        WHERE job_id = j.id AND closed_at IS NOT NULL
          AND queued_at <= now() - make_interval(secs => j.age_s)
        ORDER BY n DESC LIMIT 1
    ) t
    WHERE t.result ->> 'printed' IS NOT NULL
""")
NOTHING_PRINTED = "it printed nothing before it ended"


@dataclass(frozen=True)
class PrintedEnd:
    """What the last attempt of a job that is over printed last, and how it ended.

    `text` is empty for one that was ended before it had printed anything.
    """

    n: int
    site: str
    outcome: str
    native_id: str | None
    text: str

    @property
    def words(self) -> str:
        """Which attempt it was, how it ended and what it printed."""
        job = f" as {self.native_id}" if self.native_id else ""
        said = f"printed last:\n{self.text}" if self.text else NOTHING_PRINTED
        return f"attempt {self.n} at {self.site}{job}, {self.outcome}, {said}"


def printed_of(result: Any) -> str:
    """What stands in an attempt's result of what it printed, in words; empty where none does."""
    printed = result.get("printed") if isinstance(result, dict) else None
    return "" if printed is None else str(printed) or NOTHING_PRINTED


async def printed_ends(
    tx: AsyncConnection, jobs: Collection[int], followed: Mapping[int, datetime] | None = None
) -> dict[int, PrintedEnd]:
    """What was printed last for each of these jobs; of some nothing is known.

    `followed`: until when somebody followed a job, by the own clock; what began later is none of
    theirs.
    """
    now = datetime.now(UTC)
    ages = [(now - (followed or {}).get(job, now)).total_seconds() for job in jobs]
    return {
        row.id: PrintedEnd(row.n, row.site, row.outcome, row.native_id, row.printed)
        for row in await tx.execute(LAST, {"jobs": list(jobs), "ages": ages})
    }
