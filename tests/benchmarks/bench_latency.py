"""From a callback that was answered to the asset's next attempt in its site's queue.

The dispatcher is the real one in a process of its own, the clusters' API the real one, the
calls are those of a runner. Only the cluster is missing: here it starts an attempt as soon
as it is queued, thinks for a while, and completes it with nothing changed. The second
measure is what a dispatcher grows by for each asset that does nothing but wait.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain, pairwise
from random import Random
from typing import Any
from uuid import UUID, uuid4

import httpx
import psutil  # type: ignore[import-untyped]
import psycopg
from sqlalchemy import RowMapping, text

from hpc.sites.lock import CHANNEL
from hpc.tokens import Keys
from refinery import connections
from tests.benchmarks.by_hand import call, define, of_length, open_with, queued, register
from tests.benchmarks.rows import Row, quantile
from tests.benchmarks.system import FlowProcess, System

STAGES = 13
ASSETS = 6
THINKING_S = (2.0, 8.0)
"""About one callback a second: a queue in front of a busy dispatcher is another measure."""
WAITING = 200
WARM_UP = 20
P50_S, P99_S, MB_EACH = 0.25, 1.0, 0.3
MAX_SECONDS = 1800.0
STILL_S = 2.0  # a process whose memory has not moved this long is done

STEPS = text("""
    SELECT h.asset_guid, h.new, h.at FROM track.history h
    JOIN track.asset a ON a.guid = h.asset_guid
    WHERE a.session_id = :session AND h.what = 'job.state'
    ORDER BY h.asset_guid, h.id
""")
PARTS = {
    ("returned", "done"): "the event, the database read again, the metadata looked at",
    ("done", "claimed"): "the stage finished, the next one resolved and claimed",
    ("claimed", "queued"): "handed over to its site",
}
"""What lies between two moves of an asset's jobs."""


async def measure(system: System, *, quick: bool = False) -> list[Row]:
    """Both quantiles of the latency, then the memory of one waiting asset."""
    await define(system.engine, (1, 3, STAGES))
    assets, stages, waiting = (1, 3, 4) if quick else (ASSETS, STAGES, WAITING)
    async with FlowProcess.start(system.settings, system.addresses) as flows:
        empty = [await flows.do("empties", count=1, at_once=1) for _ in range(3)]
        session = await open_with(system.engine, of_length(stages), assets)
        samples = await _latencies(system, flows, session, assets, stages)
        parts = await _parts(system, session)
        if quick:
            each_mb = await _memory(system, flows, 1, waiting)
    if not quick:  # a process that has done nothing else has no memory to use again
        async with FlowProcess.start(system.settings, system.addresses) as flows:
            each_mb = await _memory(system, flows, WARM_UP, waiting)
    what = f"callback answered → next attempt queued ({len(samples)} samples)"
    noticed = [each.noticed_s for each in samples]
    waited = [each.queued_s for each in samples]
    return [
        Row(f"{what}, p50", quantile(waited, 0.5), target=P50_S),
        Row(f"{what}, p99", quantile(waited, 0.99), target=P99_S),
        *(Row(f"  of it, p50: {what}", seconds) for what, seconds in parts.items()),
        Row("  the same until a driver heard of it, p50", quantile(noticed, 0.5)),
        Row("  the same until a driver heard of it, p99", quantile(noticed, 0.99)),
        Row("  for comparison: a flow with one empty subflow", _median_s(empty)),
        Row(f"memory per waiting asset ({waiting} of them)", each_mb, target=MB_EACH, unit="MB"),
    ]


@dataclass(frozen=True)
class Sample:
    """Seconds from the answer to a `complete` until the asset's next attempt was queued.

    `queued_s` by the database's clock, which is this machine's; `noticed_s` until the queue's
    notice arrived here, which is after the commit.
    """

    queued_s: float
    noticed_s: float


@dataclass
class Cluster:
    """A cluster without work: starts what is queued, thinks, completes."""

    system: System
    session: UUID
    keys: Keys
    http: httpx.AsyncClient
    chance: Random
    thinking_s: tuple[float, float]
    samples: list[Sample] = field(default_factory=list)
    finished: int = 0
    _known: set[int] = field(default_factory=set)
    _answered: dict[str, float] = field(default_factory=dict)

    async def run(self, assets: int, stages: int) -> None:
        """Until every asset has done its stages."""
        async with _notices(self.system) as noticed, asyncio.TaskGroup() as group:
            while self.finished < assets * stages:
                for row in await self._new():
                    self._sample(row)
                    group.create_task(self._do(row))
                await noticed()

    async def _new(self) -> list[RowMapping]:
        rows = await queued(self.system.engine, self.session)
        found = [row for row in rows if row["id"] not in self._known]
        self._known |= {row["id"] for row in found}
        return found

    def _sample(self, row: RowMapping) -> None:
        answered = self._answered.pop(row["guid"], None)
        if answered is not None:
            waited = row["queued_at"].timestamp() - answered
            self.samples.append(Sample(waited, time.time() - answered))

    async def _do(self, row: RowMapping) -> None:
        native = {"native_id": f"b{row['id']}", "nonce": uuid4().hex}
        await call(self.http, self.keys, row, "start", native)
        await asyncio.sleep(self.chance.uniform(*self.thinking_s))
        body = native | {"result": {"usage": {"seconds": 1}}}
        await call(self.http, self.keys, row, "complete", body)
        self._answered[row["guid"]] = time.time()
        self.finished += 1


async def _latencies(
    system: System, flows: FlowProcess, session: UUID, assets: int, stages: int
) -> list[Sample]:
    keys = connections.token_keys(system.settings)
    async with (
        httpx.AsyncClient(base_url=system.addresses.clusters, timeout=30) as http,
        asyncio.timeout(MAX_SECONDS),
    ):
        flows.ask("dispatch", session=str(session), pace={})
        thinking_s = THINKING_S if stages == STAGES else (0.1, 0.3)
        cluster = Cluster(system, session, keys, http, Random(1), thinking_s)
        await cluster.run(assets, stages)
        await flows.hear()
    return cluster.samples


async def _parts(system: System, session: UUID) -> dict[str, float]:
    """Median seconds between the moves that make up the latency, by the history's clock."""
    async with system.engine.connect() as connection:
        steps = (await connection.execute(STEPS, {"session": session})).all()
    gaps: dict[str, list[float]] = {what: [] for what in PARTS.values()}
    for before, after in pairwise(step for step in steps if step.new in {*chain(*PARTS)}):
        what = PARTS.get((before.new, after.new))
        if what is not None and before.asset_guid == after.asset_guid:
            gaps[what].append((after.at - before.at).total_seconds())
    return {what: statistics.median(found) for what, found in gaps.items() if found}


def _median_s(answers: list[dict[str, Any]]) -> float:
    return statistics.median(float(each["seconds"]) for each in answers)


async def _memory(system: System, flows: FlowProcess, warm_up: int, waiting: int) -> float:
    """MB that a dispatcher grows by for each of `waiting` more assets that wait for a site."""
    session = await open_with(system.engine, of_length(1), warm_up)
    async with asyncio.timeout(MAX_SECONDS):
        pace = {"subflows": 10 * (warm_up + waiting)}
        flows.ask("dispatch", session=str(session), pace=pace)
        before = await _steady_mb(system, flows.pid, session, warm_up)
        await register(system.engine, session, of_length(1), waiting)
        after = await _steady_mb(system, flows.pid, session, warm_up + waiting)
    return (after - before) / waiting


async def _steady_mb(system: System, pid: int, session: UUID, count: int) -> float:
    """The process's memory once so many attempts are queued and it has stopped moving."""
    while len(await queued(system.engine, session)) < count:
        await asyncio.sleep(0.2)
    seen: list[float] = []
    process = psutil.Process(pid)
    rest = int(STILL_S / 0.2)
    while len(seen) < rest or max(seen[-rest:]) - min(seen[-rest:]) > 0.5:
        seen.append(process.memory_info().rss / 1e6)
        await asyncio.sleep(0.2)
    return statistics.median(seen[-rest:])


@asynccontextmanager
async def _notices(system: System) -> AsyncIterator[Any]:
    """A function that returns when a site's queue was announced, at the latest after 0.2 s."""
    address = system.addresses.database.replace("+psycopg", "")
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
        await connection.execute(f"LISTEN {CHANNEL}".encode())

        async def wait() -> None:
            async for _ in connection.notifies(timeout=0.2, stop_after=1):
                return

        yield wait
