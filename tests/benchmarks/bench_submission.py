"""5,000 submissions to a real Slurm 20 ms away, against one raw array and two ways of old.

All sides go through the same delay proxy in one run, in turns, each opening its own
connection. Connections, submissions and looks at the queue are counted.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from demo.lab.slurm_lab import SlurmLab, installed, running_lab
from hpc.archives import build_runner
from hpc.sites.slurm.driver import SlurmDriver
from hpc.transport.ssh import SshLink
from schemas.sites import Site
from tests.benchmarks.at_slurm import read_rpcs, submitted
from tests.benchmarks.rows import Row
from tests.support.callbacks import KEYS
from tests.support.clusters import temporary_cluster
from tests.support.delay_proxy import DelayProxy, running_proxy
from tests.support.slurm_site import PIPELINE
from tests.support.world import World
from track.schema.database import make_engine
from track.schema.migrations import upgrade

JOBS = 5000
SINGLES = 200
ROUNDS = 3
RTT_S = 0.020
WATCHED_MINUTES = 20

QUEUE_JOBS = """
    WITH assets AS (
        INSERT INTO track.asset (guid, session_id, pipeline_id, file_name)
        SELECT :name || '-' || n, :session, (SELECT id FROM track.pipeline LIMIT 1), 'f' || n
        FROM generate_series(1, :jobs) n RETURNING guid
    ), jobs AS (
        INSERT INTO track.job (asset_guid, session_id, stage_id, state)
        SELECT guid, :session, (SELECT id FROM track.stage WHERE key = 'clean'), 'queued'
        FROM assets
        RETURNING id
    ), attempts AS (
        INSERT INTO track.attempt (job_id, n, fence, site)
        SELECT id, 1, 1, 'cluster' FROM jobs RETURNING id, job_id
    ) SELECT count(*) FROM attempts
"""
POINT_AT = "UPDATE track.job j SET attempt_id = t.id FROM track.attempt t WHERE t.job_id = j.id"


@dataclass
class Clock:
    """Real time, and what a test adds to it."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


@dataclass
class Bench:
    """One lab behind a proxy; seconds of each side, round by round."""

    lab: SlurmLab
    proxy: DelayProxy
    engine: AsyncEngine
    world: World
    folder: Path
    seconds: dict[str, list[float]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    async def rounds(self) -> None:
        """Every side in turns."""
        for n in range(ROUNDS):
            await self._timed("array", lambda: self.raw_array(JOBS))
            await self._timed("ours", lambda n=n: self.ours(n))  # type: ignore[misc]
            self.lab.cancel_all()
        await self._timed("connections", self.one_connection_per_job)
        await self._timed("sequential", self.sequential)
        self.lab.cancel_all()

    async def _timed(self, side: str, work: Callable[[], Awaitable[float]]) -> None:
        self.seconds.setdefault(side, []).append(await work())

    def link(self) -> SshLink:
        """A connection through the proxy."""
        return SshLink(self.lab.sshd.address(port=self.proxy.port))

    def script(self) -> str:
        """A job to submit by hand."""
        path = self.folder / "raw.sh"
        path.write_text("#!/bin/sh\ntrue\n")
        return f"sbatch --parsable -p parked --output=/dev/null {{}} {path}"

    async def raw_array(self, jobs: int) -> float:
        """Connect, and one array."""
        line = self.script().format(f"--array=0-{jobs - 1}")
        began = time.monotonic()
        link = self.link()
        await submitted(link, line)
        took = time.monotonic() - began
        await link.close()
        return took

    async def one_connection_per_job(self) -> float:
        """As most systems do."""
        before = self.proxy.connections
        began = time.monotonic()
        for _ in range(SINGLES):
            link = self.link()
            await submitted(link, self.script().format(""))
            await link.close()
        self.counts["connections of old"] = self.proxy.connections - before
        return (time.monotonic() - began) / SINGLES

    async def sequential(self) -> float:
        """One connection, one command after another."""
        began = time.monotonic()
        link = self.link()
        for _ in range(SINGLES):
            await submitted(link, self.script().format(""))
        await link.close()
        return (time.monotonic() - began) / SINGLES

    async def ours(self, n: int) -> float:
        """From a queue in the database to ids in the database, the connection included."""
        await self.world.sql(QUEUE_JOBS, name=f"r{n}", session=self.world.session_id, jobs=JOBS)
        await self.world.sql(POINT_AT)
        await self.world.sql("ANALYZE track.attempt, track.job, track.asset")
        driver, clock = self.driver()
        await driver.adopt()
        await driver.greet()
        await driver.close()  # what it knows of the site it keeps; the connection is opened anew
        before, rpcs = self.proxy.connections, self._rpcs()
        began = time.monotonic()
        await driver.submitter.send()
        took = time.monotonic() - began
        known = await self.world.sql(
            "SELECT count(*) FROM track.attempt WHERE closed_at IS NULL AND external_id IS NOT NULL"
        )
        if known != [(JOBS,)]:
            raise RuntimeError(f"ids of {known} jobs are known, and {JOBS} were submitted")
        if n == ROUNDS - 1:
            await self._watch(driver, clock)
        self.counts["connections"] = self.proxy.connections - before
        for kind, count in self._rpcs().items():
            self.counts[kind] = count - rpcs[kind]
        await driver.close()
        await self.world.sql("UPDATE track.attempt SET closed_at = now(), outcome = 'cancelled'")
        await self.world.sql("UPDATE track.batch SET ended_at = now(), state = 'ended'")
        return took

    async def _watch(self, driver: SlurmDriver, clock: Clock) -> None:
        """Twenty minutes pass, a turn every ten seconds of them; nobody calls back."""
        await self.world.sql("UPDATE track.attempt SET submitted_at = now() - interval '1 hour'")
        for _ in range(WATCHED_MINUTES * 6):
            clock.ahead += 10
            await driver.turn()

    def _rpcs(self) -> dict[str, int]:
        return read_rpcs(self.lab.run("sdiag"))

    def driver(self) -> tuple[SlurmDriver, Clock]:
        """A fresh driver, as after a restart."""
        given = {
            "site": "cluster",
            "kind": "slurm",
            "block": "cluster",
            "python": sys.executable,
            "root": str(self.folder / "site"),
            "callback": "http://127.0.0.1:9",
            "capacity": 20_000,
            "max_array": 10_000,
            "poll_s": 60,
            "resources": {"partition": "parked"},
        }
        site, clock = Site.model_validate(given), Clock()
        runner = build_runner(self.folder / "built")
        url = "http://127.0.0.1:9"
        return SlurmDriver(site, self.engine, KEYS, url, runner, self.link(), clock=clock), clock

    def rows(self) -> list[Row]:
        """What is claimed, and what was measured."""
        median = {side: statistics.median(found) for side, found in self.seconds.items()}
        ours = JOBS / median["ours"]
        there = f"{JOBS} jobs, {RTT_S * 1000:.0f} ms away"
        looks = self.counts["queue RPCs"] / WATCHED_MINUTES
        return [
            Row(
                f"submission of {there}, ids known ÷ one raw sbatch --array",
                median["ours"],
                median["array"],
                5,
            ),
            self._rate(f"{there} ÷ one connection per job", ours, 1 / median["connections"], 100),
            self._rate(f"{there} ÷ one command per job", ours, 1 / median["sequential"], None),
            Row("SSH connections for all of it", self.counts["connections"], None, 1, unit=""),
            Row("sbatch RPCs for all of it", self.counts["sbatch RPCs"], None, 1, unit=""),
            Row("squeue RPCs a minute, nobody calling back", looks, None, 1, unit=""),
            Row("SSH connections, one per job", self.counts["connections of old"], unit=""),
        ]

    def _rate(self, what: str, ours: float, theirs: float, target: float | None) -> Row:
        return Row(f"rate of {what}", ours, theirs, target, unit="per s", at_least=True)


def measure() -> list[Row]:
    """What is claimed; nothing where Slurm is not installed."""
    if not installed():
        return []
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        temporary_cluster() as cluster,
        running_lab() as lab,
        running_proxy(lab.sshd.port, rtt_s=RTT_S) as proxy,
    ):
        cluster.ensure_database("bench")
        url = cluster.url("bench")
        upgrade(url)

        async def rows() -> list[Row]:
            engine = make_engine(url)
            try:
                world = await World.make(engine, PIPELINE)
                await world.sql(
                    "INSERT INTO track.site (name, kind, rank, definition, seen_at)"
                    " VALUES ('cluster', 'slurm', 0, '{}', now() + interval '1 day')"
                )
                bench = Bench(lab, proxy, engine, world, Path(name))
                await bench.rounds()
                return bench.rows()
            finally:
                await engine.dispose()

        return asyncio.run(rows())
