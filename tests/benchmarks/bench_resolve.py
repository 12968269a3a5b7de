"""One finish, its edges resolved and its dispatcher looked for, among many assets and among few.

What a finish touches does not grow with what else is in the database, so neither may its
time. The two take turns in two databases of one server, so that a busy machine slows both.
"""

import statistics
import time

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.benchmarks.rows import Row
from tests.support.clusters import temporary_cluster
from tests.support.world import World
from track.jobs import verbs
from track.schema.database import make_engine, transact
from track.schema.migrations import upgrade

MANY, FEW, STAGES, ROUNDS = 100_000, 1_000, 5, 300

PIPELINE = {
    "pipeline": "P",
    "stages": [
        {"key": f"s{n}", "run": "module load", "needs": [f"s{n - 1}"] if n else []}
        for n in range(STAGES)
    ],
}

FILL = """
    WITH assets AS (
        INSERT INTO track.asset (guid, session_id, pipeline_id, file_name, admitted_at)
        SELECT 'g' || n, :session, p.id, 'g' || n, now()
        FROM generate_series(1, :assets) n, track.pipeline p WHERE p.name = 'P'
        RETURNING guid, session_id, pipeline_id)
    INSERT INTO track.job (asset_guid, session_id, stage_id, state)
    SELECT a.guid, a.session_id, s.id, CASE s.position WHEN 0 THEN 'claimed' ELSE 'waiting' END
    FROM assets a JOIN track.stage s ON s.pipeline_id = a.pipeline_id
"""


async def measure(*, quick: bool = False) -> list[Row]:
    """One row: median seconds of a finish in the large database and in the small one."""
    sizes = (2_000, 200) if quick else (MANY, FEW)
    rounds = 20 if quick else ROUNDS
    with temporary_cluster() as cluster:
        engines = []
        for size in sizes:
            name = f"bench_{size}"
            cluster.ensure_database(name)
            upgrade(cluster.url(name))
            engines.append(make_engine(cluster.url(name)))
        try:
            claimed = [await _fill(each, size) for each, size in zip(engines, sizes, strict=True)]
            taken: list[list[float]] = [[], []]
            for n in range(rounds):
                for engine, ids, times in zip(engines, claimed, taken, strict=True):
                    times.append(await _finish(engine, ids[n]))
        finally:
            for engine in engines:
                await engine.dispose()
    many, few = (statistics.median(times) for times in taken)
    what = f"one finish resolved, {sizes[0]:,} assets × {STAGES} stages ÷ {sizes[1]:,}"
    return [Row(what, many, few, 1.3)]


async def _fill(engine: AsyncEngine, assets: int) -> list[int]:
    """A session of so many assets, each with its first job claimed; some of those, spread out."""
    world = await World.make(engine, PIPELINE)
    await world.sql(FILL, session=world.session_id, assets=assets)
    async with engine.connect() as connection:
        await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(
            text("VACUUM ANALYZE")
        )
    rows = await world.sql(
        "SELECT id FROM track.job WHERE state = 'claimed' ORDER BY md5(id::text) LIMIT 400"
    )
    return [int(str(row[0])) for row in rows]


async def _finish(engine: AsyncEngine, job_id: int) -> float:
    begun = time.perf_counter()
    ready = await transact(engine, verbs.finish, job_id, actor="bench")
    assert len(ready) == 1
    return time.perf_counter() - begun
