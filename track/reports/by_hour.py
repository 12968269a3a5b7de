"""What came, what ended and what stages took in a span of time, from the counts of each hour."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.reports.days import Span
from track.schema.hours import ASSET_COUNTS, MEASURES, USAGE_COLUMNS, added_up

_ADDED = ", ".join(f"CAST({added_up(name)} AS bigint) AS {name}" for name in ASSET_COUNTS)

# Folded rows and new ones have an index each; the hours asked for are a range of both.
ASSETS = text(f"""
    SELECT hour, {_ADDED}
    FROM (SELECT * FROM track.asset_hour WHERE folded AND hour >= :begins AND hour < :ends
          UNION ALL
          SELECT * FROM track.asset_hour WHERE NOT folded AND hour >= :begins AND hour < :ends) h
    GROUP BY hour ORDER BY hour
""")

USAGE = text(f"""
    SELECT u.stage_id, p.name AS pipeline, s.key AS stage,
           {", ".join(f"{added_up(f'u.{name}')} AS {name}" for name in USAGE_COLUMNS)}
    FROM (SELECT * FROM track.usage_hour WHERE folded AND hour >= :begins AND hour < :ends
          UNION ALL
          SELECT * FROM track.usage_hour WHERE NOT folded AND hour >= :begins AND hour < :ends) u
    JOIN track.stage s ON s.id = u.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE CAST(:pipeline AS text) IS NULL OR p.name = :pipeline
    GROUP BY u.stage_id, p.name, s.key, s.position ORDER BY p.name, s.position, u.stage_id
""")


@dataclass(frozen=True)
class Arrivals:
    """How many sessions and assets came, and how many assets came to their first end.

    Images are assets that came with a session; derivatives were made of them.
    """

    sessions: int = 0
    images: int = 0
    derivatives: int = 0
    archived: int = 0
    archived_derivatives: int = 0

    def __add__(self, other: "Arrivals") -> "Arrivals":
        return Arrivals(*(getattr(self, name) + getattr(other, name) for name in ASSET_COUNTS))


@dataclass(frozen=True)
class Measured:
    """A measure of many attempts: of how many, its mean, least and most; None without any."""

    n: int
    mean: float | None
    least: float | None
    most: float | None

    @property
    def sum(self) -> float:
        """All of it together."""
        return self.n * (self.mean or 0)


@dataclass(frozen=True)
class StageUsage:
    """What a stage's attempts took that ended in a span, as far as they told.

    Wall clock and processor time in seconds, the largest memory in MB, and seconds from their
    site's queue to their start.
    """

    stage_id: int
    pipeline: str
    stage: str
    seconds: Measured
    cpu_s: Measured
    mb: Measured
    wait_s: Measured


async def arrivals(tx: AsyncConnection, span: Span) -> dict[datetime, Arrivals]:
    """What came and ended in each hour of a span in which anything did."""
    given = {"begins": span.begins, "ends": span.ends}
    return {
        row.hour: Arrivals(*(getattr(row, name) for name in ASSET_COUNTS))
        for row in await tx.execute(ASSETS, given)
    }


async def usage(
    tx: AsyncConnection, span: Span, pipeline: str | None = None
) -> Sequence[StageUsage]:
    """What attempts of each stage took that ended in a span, of one pipeline or of all."""
    given = {"begins": span.begins, "ends": span.ends, "pipeline": pipeline}
    return [as_usage(row) for row in await tx.execute(USAGE, given)]


def as_usage(row: Row[Any]) -> StageUsage:
    """From a row with the columns of `track.schema.hours.USAGE_COLUMNS` and the stage's names."""
    return StageUsage(row.stage_id, row.pipeline, row.stage, *(_of(row, m) for m in MEASURES))


def _of(row: Row[Any], measure: str) -> Measured:
    n, total, least, most = (
        getattr(row, f"{measure}_{part}") for part in ("n", "sum", "least", "most")
    )
    return Measured(int(n), total / int(n) if n else None, least, most)
