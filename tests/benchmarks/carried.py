"""What became of a session of modules, by the history that every move of a job leaves.

The times are those of the database, at which the move's transaction began: a move in a large
set is shown as early as the set's first. Nothing here depends on Prefect's runs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.benchmarks.rows import Row, quantile
from tests.benchmarks.system import FlowProcess

STEPS = text("""
    SELECT h.asset_guid AS guid, h.job_id AS job, s.kind <> 'builtin' AS at_site, h.new, h.at
    FROM track.history h
    JOIN track.asset a ON a.guid = h.asset_guid
    JOIN track.job j ON j.id = h.job_id
    JOIN track.stage s ON s.id = j.stage_id
    WHERE a.session_id = :session AND h.what = 'job.state'
    ORDER BY h.asset_guid, h.id
""")
STANDING = text("""
    SELECT j.state || coalesce(': ' || j.reason, '') AS how, count(*) AS jobs
    FROM track.job j JOIN track.asset a ON a.guid = j.asset_guid
    WHERE a.session_id = :session AND j.state <> 'done' GROUP BY 1 ORDER BY 2 DESC LIMIT 5
""")
ENDS = frozenset({"returned", "done"})
ALL = ("prefect", "flows", "postgres", "api-clusters", "sites")
"""Whose processor time a job costs, beside its own work and the archive's."""

OURS = tuple(name for name in ALL if name != "prefect")
"""The same without Prefect's server; PostgreSQL is shared by both and counts here."""


@dataclass(frozen=True)
class Step:
    """One move of a job; `at_site`: it is a module's or a script's."""

    guid: str
    job: int
    at_site: bool
    new: str
    at: datetime


async def carry(flows: FlowProcess, session: UUID) -> list[dict[str, Any]]:
    """Run dispatchers until the session is finished; what the process says of each.

    One that hands over is followed at once, without the start of another process. Raises
    RuntimeError when one ends in any other way.
    """
    runs = []
    while True:
        ended = await flows.do("dispatch", session=str(session), pace={})
        runs.append(ended)
        if ended["state"] == "Finished":
            return runs
        if ended["state"] != "Handed Over":
            raise RuntimeError(f"the dispatcher ended {ended['state']}: {ended['said']}")


async def read_steps(engine: AsyncEngine, session: UUID, jobs: int) -> list[Step]:
    """Every move of a session's jobs, asset by asset and in order.

    Raises RuntimeError unless exactly so many jobs were done, each once.
    """
    async with engine.connect() as connection:
        rows = (await connection.execute(STEPS, {"session": session})).all()
        standing = (await connection.execute(STANDING, {"session": session})).all()
    found = [Step(*row) for row in rows]
    done = [step.job for step in found if step.new == "done"]
    if len(done) != jobs or len(set(done)) != jobs:
        others = "; ".join(f"{row.jobs} are {row.how}" for row in standing)
        raise RuntimeError(f"{len(set(done))} of {jobs} jobs are done, {len(done)} times: {others}")
    return found


def handovers(steps: Iterable[Step]) -> list[float]:
    """Seconds from the end of each job at a site to its asset's next job in a site's queue.

    A job ends when its result is applied: where that is one move with the rest, when it is done.
    """
    return [float((queued.at - ended.at).total_seconds()) for ended, queued in _pairs(steps)]


def _pairs(steps: Iterable[Step]) -> Iterator[tuple[Step, Step]]:
    ended: Step | None = None
    for step in steps:
        if not step.at_site:
            continue
        if ended is not None and ended.guid != step.guid:
            ended = None
        if step.new in ENDS:
            # Of `returned` and `done` the first one counts, and of two jobs the last one.
            ended = ended if ended is not None and ended.job == step.job else step
        elif step.new == "queued":
            if ended is not None and ended.job != step.job:
                yield ended, step
            ended = None


def span_s(steps: Sequence[Step]) -> float:
    """Seconds from the first job in a site's queue to the last one's end."""
    at_site = [step for step in steps if step.at_site]
    first = min(step.at for step in at_site if step.new == "queued")
    last = max(step.at for step in at_site if step.new in ENDS)
    return (last - first).total_seconds()


def latency_rows(steps: Sequence[Step], p50: float | None, p95: float | None) -> list[Row]:
    """Median and 95th percentile of the handovers, held against targets in seconds."""
    waited = handovers(steps)
    what = f"job's end → next queued ({len(waited)} samples)"
    return [
        Row(f"{what}, p50", quantile(waited, 0.5), target=p50),
        Row(f"{what}, p95", quantile(waited, 0.95), target=p95),
    ]


def cpu_rows(
    spent: Mapping[str, float], jobs: int, together: Sequence[str], what: str, target: float
) -> list[Row]:
    """Processor seconds per job: of some services together, judged, then of each by itself."""
    each = {name: seconds / jobs for name, seconds in spent.items()}
    total = sum(each[name] for name in together)
    return [
        Row(f"processor time per job: {what}", total, target=target, unit="cpu s"),
        *(
            Row(f"  of it: {name}" if name in together else f"  besides: {name}", s, unit="cpu s")
            for name, s in sorted(each.items(), key=lambda one: (one[0] not in together, -one[1]))
        ),
    ]


def less(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """What was spent in between, by service."""
    return {name: after[name] - before[name] for name in after}
