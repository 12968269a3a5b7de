"""A session's row, which every move of its jobs looks at."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.at_site import deadlocks, until_blocked
from tests.support.world import World, new
from track.records.sessions import rename
from track.schema.database import transact

PIPELINE = {"pipeline": "P", "stages": [{"key": "a", "run": "refinery.ingest"}]}


async def test_a_folder_is_renamed_beside_a_move_that_looks_at_the_session_last(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"))
    async with engine.begin() as move:
        await move.execute(text("SELECT 1 FROM track.asset FOR NO KEY UPDATE"))
        renaming = asyncio.create_task(
            transact(engine, rename, world.session_id, "/drive/imported_x")
        )
        await until_blocked(engine, renaming)
        await move.execute(text("SELECT 1 FROM track.session FOR SHARE"))
    await renaming
    async with engine.connect() as tx:
        assert await deadlocks(tx) == 0
    renamed = "SELECT s.path, a.source_path FROM track.session s, track.asset a"
    assert await world.sql(renamed) == [("/drive/imported_x", "/drive/imported_x")]
