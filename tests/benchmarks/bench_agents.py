"""What agents ask again and again, with very many jobs in their site's queue and with few, and
what the way through an agent costs a job that does nothing.

A claim reads about as many rows as it takes, so its time may not grow with what else waits. The
two take turns in two databases of one server, so that a busy machine slows both.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.ext.asyncio import AsyncEngine

from api.clusters import create_app
from hpc.archives import build_runner
from hpc.sites.driver import drive
from hpc.sites.local.driver import LocalDriver
from schemas.sites import Site
from tests.benchmarks.rows import Row
from tests.support.callbacks import KEYS, cluster_config
from tests.support.clusters import temporary_cluster
from tests.support.events_server import EventsServer
from tests.support.long_queue import LongQueue, QueueAgent
from tests.support.packed_agent import PackedAgent, packed_agent
from tests.support.serving import free_port, served
from tests.support.world import World, install_sites, new
from track.commands.agents import allow_joining
from track.jobs import verbs
from track.schema.database import make_engine, transact
from track.schema.migrations import upgrade

MANY, FEW, ROUNDS, AGENTS, UNITS = 10_000, 100, 60, 4, 2


async def measure(*, quick: bool = False) -> list[Row]:
    """How claims bear a long queue, and what an agent adds to a job that does nothing."""
    return [*await _claims(quick=quick), *await _trivial(quick=quick)]


async def _claims(*, quick: bool) -> list[Row]:
    """Median and p99 seconds of a claim by one of four agents that ask at once, and claims a
    second of all of them; the few that wait are always as few."""
    sizes, rounds = ((500, 50), 4) if quick else ((MANY, FEW), ROUNDS)
    sides: list[tuple[LongQueue, list[QueueAgent]]] = []
    spent = [0.0, 0.0]
    with temporary_cluster() as cluster:
        for size in sizes:
            name = f"bench_agents_{size}"
            cluster.ensure_database(name)
            upgrade(cluster.url(name))
            queue = await LongQueue.make(make_engine(cluster.url(name), pool=AGENTS))
            await queue.add(size)
            sides.append((queue, [await queue.agent(UNITS) for _ in range(AGENTS)]))
        for _ in range(rounds):
            for n, (queue, agents) in enumerate(sides):
                began = time.perf_counter()
                taken = await asyncio.gather(*(agent.claim() for agent in agents))
                spent[n] += time.perf_counter() - began
                for agent in agents:
                    await agent.finish(len(agent.holds))
                await queue.add(sum(map(len, taken)))
        for queue, _ in sides:
            await queue.world.engine.dispose()
    times = [[each for agent in agents for each in agent.seconds] for _, agents in sides]
    many, few = sizes
    what = f"{many:,} waiting ÷ {few:,}"
    return [
        Row(f"a claim of an agent, {what}", *map(statistics.median, times), 2.0),
        Row(f"p99 of the same, {what}", *(_p99(each) for each in times), 2.0),
        Row(f"seconds for a claim of each of four agents at once, {what}", *spent, 2.0),
    ]


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


TRIVIAL, LANES, TRIVIAL_ROUNDS = 64, 2, 5
"""Jobs that do nothing, how many at a time, and how often."""

NOTHING = {
    "pipeline": "NOTHING",
    "stages": [{"key": "nothing", "run": "command true {guid}"}],
}
RETURNED = """
    SELECT count(*) FROM track.attempt WHERE id = ANY(:attempts) AND outcome = 'done'
"""


async def _trivial(*, quick: bool) -> list[Row]:
    """Seconds for jobs that do nothing, through an agent on this host and through the local site's
    driver: the same program, the same API, the same database, in turns."""
    jobs, rounds = (8, 1) if quick else (TRIVIAL, TRIVIAL_ROUNDS)
    times: dict[str, list[float]] = {"far": [], "here": []}
    with temporary_cluster() as cluster, TemporaryDirectory(prefix="bench-agents-") as name:
        cluster.ensure_database("bench_trivial")
        upgrade(cluster.url("bench_trivial"))
        engine = make_engine(cluster.url("bench_trivial"), pool=4)
        async with _sites(engine, cluster.url("bench_trivial"), Path(name)) as world:
            for n in range(rounds + 1):
                for site, taken in times.items():
                    seconds = await _through(world, site, jobs, n)
                    if n > 0:  # the first fetches the runner, and compiles it
                        taken.append(seconds)
        await engine.dispose()
    what = f"{jobs} jobs that do nothing, {LANES} at a time: an agent here ÷ the local driver"
    return [Row(what, *(statistics.median(times[each]) for each in ("far", "here")), 1.2)]


@asynccontextmanager
async def _sites(engine: AsyncEngine, url: str, folder: Path) -> AsyncIterator[World]:
    """A world, the API, this machine as a local site with its driver, and an agent's site."""
    world = await World.make(engine, NOTHING)
    runner = build_runner(folder)
    async with EventsServer.serve() as prefect:
        app = create_app(cluster_config(url, prefect.url, folder, runner=runner))
        with served(app, free_port(), proxy_headers=False) as api:
            root = {"root": str(folder / "here"), "capacity": LANES}
            here = Site.model_validate({"site": "here", "kind": "local", **root})
            far = Site.model_validate({"site": "far", "kind": "pull", "callback": api})
            await transact(engine, install_sites, [here, far])
            driver = LocalDriver(here, engine, KEYS, api, runner, folder / "outputs")
            driving = asyncio.create_task(drive(url, engine, "here", driver))
            with await _agent(engine, api, folder):
                try:
                    yield world
                finally:
                    driving.cancel()
                    await asyncio.gather(driving, return_exceptions=True)


@contextmanager
def _running(agent: PackedAgent) -> Iterator[None]:
    process = agent.start()
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=60)


async def _agent(engine: AsyncEngine, api: str, folder: Path) -> AbstractContextManager[None]:
    """An agent that has joined; it runs while the context lasts."""
    agent = packed_agent(folder / "agent")
    agent.python = sys.executable
    await transact(engine, allow_joining, "far", "a-join-token", 1, 1.0, actor="bench")
    told = ["--server", api, "--site", "far", "--root", str(agent.root)]
    told += ["--python", sys.executable, "--process", str(LANES)]
    joined = await asyncio.to_thread(agent.run, "join", *told, REFINERY_JOIN_TOKEN="a-join-token")
    if joined.returncode:
        raise RuntimeError(joined.stderr)
    return _running(agent)


async def _through(world: World, site: str, jobs: int, n: int) -> float:
    """Queue so many jobs at a site; the seconds until all of them have come back."""
    guids = [f"{site}{n}x{number:04}" for number in range(jobs)]
    await world.register(*[new(guid, pipeline="NOTHING") for guid in guids])
    ids = [each.job_id for each in await world.claim(limit=jobs)]
    began = time.perf_counter()
    given = {"dispatcher_id": world.dispatcher_id, "actor": "bench"}
    made = await transact(world.engine, verbs.enqueue_all, ids, site, **given)
    attempts = [each for each in made.values() if each is not None]
    async with asyncio.timeout(120):
        while (await world.rows(RETURNED, attempts=attempts))[0]["count"] < jobs:
            await asyncio.sleep(0.02)
    seconds = time.perf_counter() - began
    for each in ids:
        await transact(world.engine, verbs.finish, each, actor="bench")
    return seconds
