"""A claim, and the looks between two, among many ready jobs and among few.

A claim reads about as many rows as it takes, so its time may not grow with what else is ready.
The two take turns in two databases of one server, so that a busy machine slows both.
"""

import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.benchmarks.rows import Row
from tests.support.clusters import temporary_cluster
from tests.support.world import World
from track.jobs.claims import claim, returned
from track.jobs.outlook import outlook
from track.schema.database import make_engine, transact
from track.schema.migrations import upgrade

MANY, FEW, STAGES, ROUNDS, LIMIT, IN_FLIGHT = 100_000, 1_000, 5, 24, 64, 300

PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": f"s{n}", "run": "module load", "needs": [f"s{n - 1}"] if n else []}
        for n in range(STAGES)
    ],
}

FILL = """
    WITH assets AS (
        INSERT INTO track.asset (guid, session_id, pipeline_id, file_name, admitted_at)
        SELECT 'g' || n, :session, p.id, 'g' || n,
               CASE WHEN n % :stages > 0 AND NOT :full OR n <= :in_flight THEN now() END
        FROM generate_series(1, :jobs) n, track.pipeline p WHERE p.name = 'P'
        RETURNING guid, session_id, pipeline_id, CAST(substr(guid, 2) AS integer) AS n)
    INSERT INTO track.job (asset_guid, session_id, stage_id, state)
    SELECT a.guid, a.session_id, s.id,
           CASE WHEN :full AND a.n <= :in_flight THEN 'queued'
                WHEN s.position = a.n % CASE WHEN :full THEN 1 ELSE :stages END THEN 'ready'
                ELSE 'waiting' END
    FROM assets a JOIN track.stage s ON s.pipeline_id = a.pipeline_id
"""
BACK = """
    UPDATE track.job SET state = 'returned', dispatcher_id = NULL
    WHERE id IN (SELECT id FROM track.job WHERE state = 'queued' LIMIT :limit)
"""


async def measure(*, quick: bool = False) -> list[Row]:
    """Median seconds of each step with many ready jobs and with few; those under a full throttle
    have as many specimens in flight."""
    sizes = (2_000, 200) if quick else (MANY, FEW)
    in_flight, rounds = (20, 3) if quick else (IN_FLIGHT, ROUNDS)
    taken: dict[str, list[list[float]]] = {}
    with temporary_cluster() as cluster:
        for full in (False, True):
            sides = []
            for size in sizes:
                name = f"bench_{'full' if full else 'loose'}_{size}"
                cluster.ensure_database(name)
                upgrade(cluster.url(name))
                engine = make_engine(cluster.url(name))
                sides.append(await _fill(engine, size, in_flight if full else 0))
            for n in range(rounds):
                for side, world in enumerate(sides):
                    for step, work in _steps(world, full=full).items():
                        times = taken.setdefault(step, [[], []])[side]
                        times.append(await _timed(world.engine, work))
                    if not full and n % 4 == 3:
                        await _put_back(world)
            for world in sides:
                await world.engine.dispose()
    return [
        Row(f"{step}, {sizes[0]:,} ready jobs ÷ {sizes[1]:,}", *map(statistics.median, times), 1.5)
        for step, times in taken.items()
    ]


Step = Callable[[AsyncConnection], Awaitable[Any]]


def _steps(world: World, *, full: bool) -> dict[str, Step]:
    mine: tuple[UUID, UUID] = (world.session_id, world.dispatcher_id)
    if full:
        return {
            "a claim that the throttle holds": lambda tx: claim(tx, *mine, limit=LIMIT),
            "a look whether to park": lambda tx: outlook(tx, world.session_id),
            "what came back": lambda tx: returned(tx, world.session_id, limit=LIMIT),
        }

    async def take(tx: AsyncConnection) -> None:
        assert len(await claim(tx, *mine, limit=LIMIT)) == LIMIT

    return {f"a claim of {LIMIT}": take}


async def _timed(engine: AsyncEngine, work: Step) -> float:
    begun = time.perf_counter()
    await transact(engine, work)
    return time.perf_counter() - begun


async def _fill(engine: AsyncEngine, jobs: int, in_flight: int) -> World:
    """A session of so many ready jobs; `in_flight`: a full throttle holds those that enter."""
    throttle = {"throttle": {"assets_in_flight": in_flight}} if in_flight else {}
    world = await World.make(engine, PIPELINE | throttle)
    given = {"session": world.session_id, "jobs": jobs, "stages": STAGES}
    await world.sql(FILL, **given, in_flight=in_flight, full=bool(in_flight))
    await world.sql(BACK, limit=LIMIT)
    await _vacuum(engine)
    return world


async def _put_back(world: World) -> None:
    """Let what was claimed be ready again, or the few would be used up."""
    await world.sql("UPDATE track.job SET state = 'ready' WHERE state = 'claimed'")
    await _vacuum(world.engine)


async def _vacuum(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("VACUUM ANALYZE"))
