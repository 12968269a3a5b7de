"""Pipelines as graphs of stages: what hangs on what, how many jobs stand where, what they take."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.reports.by_hour import StageUsage, usage
from track.reports.days import Span
from track.schema.arrays import array_of
from track.schema.states import IN_HAND, State
from track.schema.totals import OVER

USAGE_DAYS = 7
"""What stages take is shown of so many days; of all time only how many images, and their mean."""

USUALLY_ACCEPTED = frozenset({State.DONE, State.EXCLUDED})

# The stages of one pipeline or, without a name, of all.
_THESE = """
    track.stage s JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE s.archived_at IS NULL AND (CAST(:pipeline AS text) IS NULL OR p.name = :pipeline)
"""
STAGES = text(f"""
    SELECT s.id, p.name AS pipeline, s.key, s.kind, s.run, s.position, s.emits, s.sites,
           s.active, s.retries
    FROM {_THESE} ORDER BY p.name, s.position, s.id
""")
EDGES = text(f"""
    SELECT e.stage_id, u.id AS upstream_id, up.name AS pipeline, u.key AS upstream, e.selector,
           e.dx, e.dy, e.dz, e.accept
    FROM (SELECT s.id FROM {_THESE}) mine
    JOIN track.edge e ON e.stage_id = mine.id
    JOIN track.stage u ON u.id = e.upstream_id
    JOIN track.pipeline up ON up.id = u.pipeline_id
    ORDER BY e.stage_id, u.position, e.id
""")
# Of the index job_stage only the states in which jobs move are read; the totals of the others
# are kept.
COUNTS = text(f"""
    SELECT mine.id AS stage_id, c.state, c.jobs
    FROM (SELECT s.id FROM {_THESE}) mine
    CROSS JOIN LATERAL (
        SELECT j.state, count(*) AS jobs FROM track.job j
        WHERE j.stage_id = mine.id
          AND j.state = ANY({array_of(each for each in State if each not in OVER)})
        GROUP BY j.state
        UNION ALL
        SELECT t.state, CAST(sum(t.jobs) AS bigint) FROM track.job_total t
        WHERE t.stage_id = mine.id GROUP BY t.state HAVING sum(t.jobs) <> 0
    ) c
""")
EVER = text(f"""
    SELECT mine.id AS stage_id, CAST(sum(t.images) AS bigint) AS images,
           sum(t.seconds) AS seconds, sum(t.cpu_s) AS cpu_s, max(t.peak_mb) AS peak_mb
    FROM (SELECT s.id FROM {_THESE}) mine JOIN track.usage_total t ON t.stage_id = mine.id
    GROUP BY mine.id
""")
PIPELINES = text("""
    SELECT p.name, p.active, p.throttle FROM track.pipeline p
    WHERE (CAST(:pipeline AS text) IS NULL OR p.name = :pipeline)
      AND EXISTS (SELECT 1 FROM track.stage s WHERE s.pipeline_id = p.id AND s.archived_at IS NULL)
    ORDER BY p.name
""")


@dataclass(frozen=True)
class UsedEver:
    """What a stage's attempts took since the beginning: sums, and the peak of memory."""

    images: int
    seconds: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Upstream:
    """What a stage waits for: a stage of its own pipeline or of another, and of which asset.

    `selector` is empty where it is its own asset's; `accept` where it is what is usually accepted.
    """

    stage_id: int
    pipeline: str
    stage: str
    selector: str
    accept: str


@dataclass(frozen=True)
class StageSeen:
    """A stage of a pipeline with what stands at it; `usage` is of the last USAGE_DAYS days."""

    id: int
    pipeline: str
    key: str
    kind: str
    run: str
    emits: str | None
    sites: Sequence[str]
    active: bool
    retries: int
    upstream: Sequence[Upstream]
    jobs: Mapping[State, int]
    usage: StageUsage | None
    ever: UsedEver | None

    @property
    def in_process(self) -> int:
        """Jobs that a dispatcher or a site is at."""
        return self.count(*IN_HAND)

    def count(self, *states: State) -> int:
        """How many of its jobs are in these states."""
        return sum(self.jobs.get(state, 0) for state in states)


@dataclass(frozen=True)
class PipelineSeen:
    """A pipeline with its stages in their order."""

    name: str
    active: bool
    throttle: Mapping[str, Any]
    stages: Sequence[StageSeen]

    def jobs(self, *states: State) -> int:
        """How many jobs of all its stages are in these states."""
        return sum(stage.count(*states) for stage in self.stages)


async def pipelines_seen(tx: AsyncConnection, name: str | None = None) -> list[PipelineSeen]:
    """Every pipeline, or the one of a name; empty when there is none of that name."""
    asked = {"pipeline": name}
    found = (await tx.execute(PIPELINES, asked)).all()
    stages: dict[str, list[StageSeen]] = defaultdict(list)
    for each in await _stages(tx, name):
        stages[each.pipeline].append(each)
    return [PipelineSeen(row.name, row.active, row.throttle, stages[row.name]) for row in found]


async def _stages(tx: AsyncConnection, name: str | None) -> list[StageSeen]:
    asked = {"pipeline": name}
    jobs: dict[int, Counter[State]] = defaultdict(Counter)
    for row in await tx.execute(COUNTS, asked):
        jobs[row.stage_id][State(row.state)] += row.jobs
    upstream: dict[int, list[Upstream]] = defaultdict(list)
    for row in await tx.execute(EDGES, asked):
        upstream[row.stage_id].append(_upstream(row))
    now = datetime.now(UTC)
    lately = Span(now - timedelta(days=USAGE_DAYS), now + timedelta(hours=1))
    used = {each.stage_id: each for each in await usage(tx, lately, name)}
    ever = {
        row.stage_id: UsedEver(row.images, row.seconds, row.cpu_s, row.peak_mb)
        for row in await tx.execute(EVER, asked)
    }
    return [
        StageSeen(
            row.id, row.pipeline, row.key, row.kind, row.run, row.emits, row.sites or (),
            row.active, row.retries, upstream[row.id], jobs[row.id], used.get(row.id),
            ever.get(row.id),
        )
        for row in await tx.execute(STAGES, asked)
    ]  # fmt: skip


def _upstream(row: Row[Any]) -> Upstream:
    selector = "" if row.selector == "self" else row.selector
    if selector == "offset":
        moved = zip("xyz", (row.dx, row.dy, row.dz), strict=True)
        selector = "neighbour " + ", ".join(f"{axis}{by:+d}" for axis, by in moved if by)
    accept = set(row.accept)
    words = "" if accept == USUALLY_ACCEPTED else "accepts " + ", ".join(sorted(accept))
    return Upstream(row.upstream_id, row.pipeline, row.upstream, selector, words)
