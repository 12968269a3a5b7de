"""Figures for Prometheus: counters of this application, and counts of the database.

Each application has its own registry, so that two in one process do not mix.
"""

from collections.abc import Mapping
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from sqlalchemy.ext.asyncio import AsyncConnection

from api.free_space import DiskRoom
from api.system_gauges import SystemGauges
from schemas.launchers import LAUNCHERS
from track.records.outbox import backlog
from track.reports.agents import agents_seen, site_queues
from track.reports.figures import ENDED, MOVING, SPENT

BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

SUMS = {
    "images": "Images that a module was run on and reported its usage of.",
    "seconds": "Wall clock that modules took, as they report it.",
    "cpu_s": "Processor seconds that modules took.",
    "peak_mb": "Largest memory that a module needed for one image, in MB.",
}
"""Columns of SPENT, and the help text of `refinery_module_<column>`."""


class RequestMetrics:
    """How quickly one application answers."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._latency = Histogram(
            "refinery_request_seconds",
            "Time from a request's arrival to its answer.",
            ("method", "path", "status"),
            buckets=BUCKETS,
            registry=self.registry,
        )

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """Time a request; `path` is a route's pattern, never a guid."""
        self._latency.labels(method, path, str(status)).observe(seconds)

    def own_page(self) -> bytes:
        """This application's own figures in Prometheus' text format."""
        return generate_latest(self.registry)


class Metrics(RequestMetrics):
    """The counters of the clusters' application, and the figures of the whole system."""

    def __init__(self) -> None:
        super().__init__()
        registry = self.registry
        self._callbacks = Counter(
            "refinery_callbacks",
            "Callbacks answered, by kind and by what became of them.",
            ("kind", "outcome"),
            registry=registry,
        )
        self._system = SystemGauges(registry)
        gauge = partial(Gauge, registry=registry)
        self._jobs = gauge("refinery_jobs", "Jobs in each state.", ("pipeline", "stage", "state"))
        self._unannounced = gauge(
            "refinery_events_unannounced", "Events that Prefect has not accepted yet."
        )
        self._oldest = gauge(
            "refinery_events_oldest_seconds",
            "Age of the oldest event that Prefect has not accepted yet.",
        )
        gauge(
            "refinery_totals_age_seconds",
            "Age of the counts of jobs that are over and of what modules took: 0, they are kept.",
        )
        self._queues = {
            "jobs": gauge("refinery_queue_jobs", "Jobs that nobody at a site took yet.", ("site",)),
            "oldest_s": gauge(
                "refinery_queue_oldest_seconds", "How long the oldest of them waits.", ("site",)
            ),
        }
        about = ("site", "agent")
        self._silent = gauge("refinery_agent_silent_seconds", "Since it was heard of.", about)
        units = (*about, "launcher")
        self._capacity = gauge("refinery_agent_capacity_units", "What it may take.", units)
        self._used = gauge("refinery_agent_used_units", "What it has taken.", units)
        labels = ("pipeline", "stage", "site")
        self._spent = {
            name: gauge(f"refinery_module_{name}", about, labels) for name, about in SUMS.items()
        }

    def callback(self, kind: str, outcome: str) -> None:
        """Count a callback: applied, recorded, stale, repeated or refused."""
        self._callbacks.labels(kind, outcome).inc()

    async def page(
        self, tx: AsyncConnection, disks: Mapping[str, DiskRoom | None] | None = None
    ) -> bytes:
        """The page in Prometheus' text format: this application's counters, and the database's.

        `disks`: the room where files lie, by place.
        """
        jobs = [row for each in (MOVING, ENDED) for row in await tx.execute(each)]
        spent, unannounced = (await tx.execute(SPENT)).all(), await backlog(tx)
        self._jobs.clear()
        for row in jobs:
            # A stage that was taken out and one that came later may have one name.
            self._jobs.labels(row.pipeline, row.stage, row.state).inc(row.jobs)
        for name, gauge in self._spent.items():
            gauge.clear()
            for row in spent:
                gauge.labels(row.pipeline, row.stage, row.site).set(getattr(row, name))
        await self._note_sites(tx)
        self._unannounced.set(unannounced.events)
        self._oldest.set(unannounced.oldest_s)
        await self._system.read(tx, disks or {})
        return self.own_page()

    async def _note_sites(self, tx: AsyncConnection) -> None:
        """What waits for each site, and the agents that take it."""
        for name, gauge in self._queues.items():
            gauge.clear()
            for row in await site_queues(tx):
                gauge.labels(row.site).set(getattr(row, name))
        for gauge in (self._silent, self._capacity, self._used):
            gauge.clear()
        for each in await agents_seen(tx):
            who = (each.site, f"{each.id} {each.name}")
            self._silent.labels(*who).set(each.silent_s)
            for launcher in LAUNCHERS:
                self._capacity.labels(*who, launcher).set(each.capacity.of(launcher))
                self._used.labels(*who, launcher).set(each.used.of(launcher))
