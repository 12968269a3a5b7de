"""Assets that ended long ago, with all that their road left; and what of it is in the database."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from tasks.upkeep.records import RecordsPage, RecordsSweep
from tests.support.at_site import complete, fail, start
from tests.support.world import HERE, World, new
from track.jobs import verbs
from track.jobs.claims import Claim
from track.schema.database import transact

PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "end", "run": "refinery.finalise", "needs": "load"},
    ],
}
KEEP = timedelta(days=400)
AGE = "UPDATE track.asset SET finalised_at = now() - interval '401 days' WHERE guid = :guid"
OF_ASSET = {
    "history": "SELECT * FROM track.history WHERE asset_guid = :guid ORDER BY id",
    "inbox": "SELECT * FROM track.inbox WHERE asset_guid = :guid ORDER BY id",
    "attempt": """SELECT t.* FROM track.attempt t JOIN track.job j ON j.id = t.job_id
                  WHERE j.asset_guid = :guid ORDER BY t.id""",
}


async def old_world(engine: AsyncEngine, *guids: str) -> World:
    """A world in which these assets ended 401 days ago, each at the second attempt."""
    world = await World.make(engine, PIPELINE)
    for guid in guids:
        await world.register(new(guid))
        await world.describe(guid)
        await travel(world, guid)
        await world.sql(AGE, guid=guid)
    return world


async def travel(world: World, guid: str) -> list[int]:
    """Take an asset to its end, its module failing once; the attempts that it took."""
    first = await _claim(world, guid)
    failing = await world.enqueue(first.job_id, HERE.name)
    fence = await _fence(world, failing)
    await start(world, failing, fence)
    await fail(world, failing, fence=fence)
    await world.sql("UPDATE track.job SET available_at = now() WHERE asset_guid = :g", g=guid)
    again = await _claim(world, guid)
    attempt = await world.enqueue(again.job_id, HERE.name)
    fence = await _fence(world, attempt)
    await start(world, attempt, fence)
    usage = {"seconds": 2.5, "cpu_s": 2, "max_rss_mb": 100}
    await complete(world, attempt, fence, result={"usage": usage, "details": {"æ": '\n,"'}})
    await transact(world.engine, verbs.finish, again.job_id, actor="test")
    await world.finish(await _claim(world, guid))
    return [failing, attempt]


async def _claim(world: World, guid: str) -> Claim:
    (found,) = await world.claim(guid=guid)
    return found


async def _fence(world: World, attempt: int) -> int:
    ((fence,),) = await world.sql("SELECT fence FROM track.attempt WHERE id = :id", id=attempt)
    assert isinstance(fence, int)
    return fence


async def rows_of(world: World, guid: str) -> dict[str, list[dict[str, Any]]]:
    """Everything that the three tables hold of an asset."""
    return {table: await world.rows(asked, guid=guid) for table, asked in OF_ASSET.items()}


async def sweep(world: World, folder: Path, *, dry_run: bool = False) -> list[RecordsPage]:
    """One sweep with the usual time; the pages that it looked at."""
    made = RecordsSweep(world.engine, folder, KEEP, dry_run)
    return [page async for page in made.pages()]
