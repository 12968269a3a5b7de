"""A site on the lab's Slurm, seen from our side: database, clusters' API, driver, jobs."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncEngine

from api.clusters import create_app
from demo.lab.slurm_lab import SlurmLab
from hpc.archives import build_runner
from hpc.sites.slurm.driver import SlurmDriver
from hpc.transport.breaker import Breaker
from hpc.transport.ssh import SshLink
from schemas.sites import Site
from tests.support.callbacks import KEYS, cluster_config
from tests.support.events_server import EventsServer
from tests.support.serving import free_port, serving
from tests.support.world import World, install_sites, new
from track.schema.database import transact

ROOT = Path(__file__).parents[2]
MAX_SECONDS = 150.0
ODD_RUNNER = Path(__file__).with_name("odd_runner.py")

PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "clean", "run": "module clean"},
        {"key": "other", "run": "module load"},
    ],
}


class Eager(Breaker):
    """A breaker that never keeps a test waiting long."""

    def wait_s(self, now: float) -> float:
        return min(super().wait_s(now), 0.3)


@dataclass
class SlurmSite:
    """One site of a lab and the world behind it; `port` is where its sshd is reached."""

    lab: SlurmLab
    engine: AsyncEngine
    world: World
    callback: str
    url: str
    root: Path
    prefect: EventsServer
    name: str = "cluster"
    port: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    drivers: list[SlurmDriver] = field(default_factory=list)

    @property
    def site(self) -> Site:
        """As sites.yaml would have it."""
        given = {
            "site": self.name,
            "kind": "slurm",
            "root": str(self.root),
            "python": sys.executable,
            "block": self.name,
            "callback": self.callback,
            "poll_s": 1,
            "max_array": 1000,
            "submit_s": 0,  # a test's every turn sends what is queued
        }
        return Site.model_validate(given | self.options)

    def driver(
        self,
        runner: Path | None = None,
        wire: SshLink | None = None,
        callback: str | None = None,
        **more: Any,
    ) -> SlurmDriver:
        """A new driver with a connection of its own."""
        wire = wire or SshLink(self.lab.sshd.address(port=self.port), breaker=Eager())
        path = runner or build_runner(self.root.parent / "built")
        url = self.callback if callback is None else callback
        made = SlurmDriver(self.site, self.engine, KEYS, url, path, wire, **more)
        self.drivers.append(made)
        return made

    async def queue(self, *guids: str, stage: str = "clean") -> list[int]:
        """Register assets and hand a stage of each to the site; the attempts."""
        for guid in guids:
            await self.world.register(new(guid))
            await self.world.describe(guid)
        return [await self.enqueue(guid, stage) for guid in guids]

    async def enqueue(self, guid: str, stage: str = "clean") -> int:
        """Claim a ready job and put it into the site's queue; its attempt."""
        claims = await self.world.claim(limit=1000, guid=guid)
        (job_id,) = [found.job_id for found in claims if found.stage == stage]
        return await self.world.enqueue(job_id, self.name)

    async def states(self, *guids: str, stage: str = "clean") -> list[str]:
        """The state of each asset's job."""
        return [(await self.world.states(guid))[stage].value for guid in guids]

    async def attempts(self, guid: str, stage: str = "clean") -> list[dict[str, Any]]:
        """All attempts of a job, in order."""
        return await self.world.rows(
            "SELECT t.* FROM track.attempt t JOIN track.job j ON j.id = t.job_id"
            " JOIN track.stage s ON s.id = j.stage_id"
            " WHERE j.asset_guid = :g AND s.key = :s ORDER BY t.n",
            g=guid,
            s=stage,
        )

    async def batches(self) -> list[dict[str, Any]]:
        """All batches, in order."""
        return await self.world.rows(
            "SELECT *, cardinality(members) AS size FROM track.batch ORDER BY id"
        )

    async def drive(
        self, driver: SlurmDriver, done: Callable[[], Any], seconds: float = MAX_SECONDS
    ) -> None:
        """Turn after turn until `done()`; fails after `seconds`."""
        until = time.monotonic() + seconds
        while not await done():
            if time.monotonic() > until:
                raise AssertionError(await self._story())
            await driver.turn()
            await asyncio.sleep(0.05)

    async def _story(self) -> str:
        rows = await self.world.sql(
            "SELECT asset_guid, state, reason FROM track.job ORDER BY id LIMIT 20"
        )
        shown = self.lab.run("squeue", "-t", "all", check=False)[-1500:]
        return f"not in time: {rows}\n{await self.batches()}\n{shown}\n{self.logs()}"

    def logs(self) -> str:
        """What the runners wrote."""
        files = sorted(self.root.glob("batches/*/log/*"))
        return "\n".join(f"{path.name}: {path.read_text()[-600:]}" for path in files[:4])

    async def until_states(
        self, driver: SlurmDriver, guids: Sequence[str], state: str, seconds: float = MAX_SECONDS
    ) -> None:
        """Drive until all these jobs are in a state."""

        async def done() -> bool:
            return set(await self.states(*guids)) == {state}

        await self.drive(driver, done, seconds)

    async def until_results_are_awaited(self, driver: SlurmDriver, *attempts: int) -> None:
        """Drive until these jobs have ended well and their results are all that lacks."""

        async def awaited() -> bool:
            return driver.poller.ended.keys() >= set(attempts)

        await self.drive(driver, awaited)

    async def answered(self, attempt: int) -> None:
        """Make a job ready to be claimed now, whatever its pause."""
        await self.world.sql(
            "UPDATE track.job SET available_at = now() WHERE attempt_id = :a", a=attempt
        )

    def work_done(self) -> list[tuple[int, str]]:
        """(attempt, native id) of every work that was really done."""
        log = self.root / "work.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(int(a), native) for a, native in (line.split() for line in lines)]


@asynccontextmanager
async def slurm_site(
    lab: SlurmLab,
    engine: AsyncEngine,
    database: str,
    folder: Path,
    announcing: Callable[..., Any] | None = None,
    **options: Any,
) -> AsyncIterator[SlurmSite]:
    """A site with the real clusters' API listening for its jobs; `announcing` stands in for what
    tells a stand-in for Prefect of events."""
    async with EventsServer.serve() as prefect:
        more = {"announcing": announcing} if announcing else {}
        config = cluster_config(database, prefect.url, folder, **more)
        async with serving(create_app(config), free_port()) as callback:
            world = await World.make(engine, PIPELINE)
            root = lab.root(uuid4().hex[:8])
            made = SlurmSite(lab, engine, world, callback, database, root, prefect, options=options)
            await transact(engine, install_sites, [made.site])
            try:
                yield made
            finally:
                for driver in made.drivers:
                    await driver.close()


async def let_die(site: SlurmSite, moment: str, folder: Path, **more: Any) -> None:
    """Let a driver live until that moment of `dying_driver`; `more` of what that reads."""
    spec = folder / "spec.json"
    given = {
        "sshd": str(site.lab.sshd.folder),
        "port": site.lab.sshd.port,
        "database": site.url,
        "site": site.site.definition(),
        "moment": moment,
    }
    spec.write_text(json.dumps(given | more))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.dying_driver", str(spec)), cwd=ROOT
    )
    try:
        async with asyncio.timeout(240):
            assert await process.wait() == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
