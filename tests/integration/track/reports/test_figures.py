"""The totals that are kept are those that a count of everything gives."""

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import HERE, World, new
from track.jobs import verbs
from track.jobs.attempts import close_attempt
from track.reports.figures import ENDED, MOVING, SPENT, fold_totals
from track.schema.database import transact
from track.schema.totals import FIRST_COUNTS

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "create", "run": "refinery.create"},
        {"key": "load", "run": "module load", "needs": "create"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}
COUNTED = """
    SELECT s.key, j.state, count(*) FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    GROUP BY s.key, s.position, j.state ORDER BY s.key, j.state
"""
USED = """
    SELECT s.key, t.site, count(*), sum(t.seconds), sum(t.cpu_s), max(t.max_rss_mb)
    FROM track.attempt t JOIN track.job j ON j.id = t.job_id JOIN track.stage s ON s.id = j.stage_id
    WHERE t.seconds IS NOT NULL GROUP BY s.key, t.site
"""
ROWS = "SELECT (SELECT count(*) FROM track.job_total), (SELECT count(*) FROM track.usage_total)"


async def kept(world: World) -> tuple[list[Any], list[Any]]:
    """Jobs by stage and state, and what modules took, as Prometheus is told."""
    async with world.engine.connect() as tx:
        found = [row for each in (MOVING, ENDED) for row in await tx.execute(each)]
        jobs = sorted((row.stage, row.state, row.jobs) for row in found)
        return jobs, [tuple(row)[1:] for row in await tx.execute(SPENT)]


async def truth(world: World) -> tuple[list[Any], list[Any]]:
    return await world.sql(COUNTED), await world.sql(USED)


async def at_work(engine: AsyncEngine) -> World:
    """Some assets whose first jobs are done, one that is done again, and one with a usage."""
    world = await World.make(engine, PIPELINE)
    await world.register(*(new(f"g{n}") for n in range(6)))
    ids = [found.job_id for found in await world.claim()]
    await transact(engine, verbs.finish_all, ids, actor="test")
    await transact(engine, verbs.resubmit, ids[0], actor="test", why="again")
    for seconds, found in enumerate((await world.claim())[:2], 1):
        attempt = await world.enqueue(found.job_id, HERE.name)
        usage = {"seconds": seconds, "cpu_s": 2, "max_rss_mb": 100 * seconds}
        await transact(engine, close_attempt, attempt, "done", **usage)
        await transact(engine, close_attempt, attempt, "failed", seconds=50)
    return world


async def test_totals_follow_every_move_and_stay_what_they_are_when_folded(
    engine: AsyncEngine,
) -> None:
    world = await at_work(engine)
    assert await kept(world) == await truth(world)
    await world.sql("UPDATE track.job SET state = 'excluded' WHERE asset_guid = 'g5'")
    await world.sql("DELETE FROM track.job WHERE asset_guid = 'g4'")
    assert await kept(world) == await truth(world)
    assert (await world.sql(ROWS))[0] > (3, 1)
    await asyncio.gather(*(transact(engine, fold_totals) for _ in range(4)))
    await transact(engine, fold_totals)
    assert await kept(world) == await truth(world)
    assert (await world.sql(ROWS))[0] <= (6, 1)


async def test_a_fold_that_does_not_commit_changes_nothing(engine: AsyncEngine) -> None:
    world = await at_work(engine)
    before = await world.sql(ROWS)
    async with engine.connect() as tx:
        await fold_totals(tx)
        await tx.rollback()
    assert (await kept(world), await world.sql(ROWS)) == (await truth(world), before)


async def test_what_was_done_before_totals_were_kept_is_counted_once(engine: AsyncEngine) -> None:
    world = await at_work(engine)
    for table in ("job_total", "usage_total"):
        await world.sql(f"DELETE FROM track.{table}")
    for statement in FIRST_COUNTS:
        await world.sql(statement)
    assert await kept(world) == await truth(world)
