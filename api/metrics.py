"""What Prometheus may ask: counters of this application, and the database's own figures.

Each application has its own registry, so that two in one process do not mix.
"""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from api.announcer import Backlog

BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

JOBS = text("""
    SELECT p.name AS pipeline, s.key AS stage, c.state, c.jobs
    FROM (SELECT stage_id, state, count(*) AS jobs FROM track.job GROUP BY stage_id, state) c
    JOIN track.stage s ON s.id = c.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    ORDER BY p.name, s.position, c.state
""")


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._callbacks = Counter(
            "refinery_callbacks",
            "Callbacks answered, by kind and by what became of them.",
            ("kind", "outcome"),
            registry=self.registry,
        )
        self._latency = Histogram(
            "refinery_request_seconds",
            "Time from a request's arrival to its answer.",
            ("method", "path", "status"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._jobs = Gauge(
            "refinery_jobs",
            "Jobs in each state.",
            ("pipeline", "stage", "state"),
            registry=self.registry,
        )
        self._unannounced = Gauge(
            "refinery_events_unannounced",
            "Events that Prefect has not accepted yet.",
            registry=self.registry,
        )
        self._oldest = Gauge(
            "refinery_events_oldest_seconds",
            "Age of the oldest event that Prefect has not accepted yet.",
            registry=self.registry,
        )

    def callback(self, kind: str, outcome: str) -> None:
        """Count a callback: applied, recorded, stale, repeated or refused."""
        self._callbacks.labels(kind, outcome).inc()

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """Time a request; `path` is a route's pattern, never a guid."""
        self._latency.labels(method, path, str(status)).observe(seconds)

    def render(self, jobs: Iterable[tuple[str, str, str, int]], backlog: Backlog) -> bytes:
        """The page in Prometheus' text format."""
        self._jobs.clear()
        for pipeline, stage, state, count in jobs:
            self._jobs.labels(pipeline, stage, state).set(count)
        self._unannounced.set(backlog.events)
        self._oldest.set(backlog.oldest_s)
        return generate_latest(self.registry)


async def jobs_by_state(tx: AsyncConnection) -> list[tuple[str, str, str, int]]:
    """(pipeline, stage, state, number of jobs)."""
    return [(row.pipeline, row.stage, row.state, row.jobs) for row in await tx.execute(JOBS)]
