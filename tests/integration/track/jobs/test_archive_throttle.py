"""The archive's own throttle: all pipelines count, those of derivatives too."""

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.pipeline.load import Throttle
from tests.support.world import World, new
from track.jobs.room import set_archive_throttle
from track.schema.database import transact


def road(name: str, **throttle: int) -> dict[str, Any]:
    stages = [{"key": "s", "run": "refinery.synchronise"}]
    return {"pipeline": name, "throttle": throttle, "stages": stages}


async def bounded(engine: AsyncEngine, **bound: int) -> bool:
    return await transact(engine, set_archive_throttle, Throttle(**bound), actor="test")


async def test_no_more_synchronise_at_once_than_the_archive_bears(engine: AsyncEngine) -> None:
    roads = [road("P", synchronising=3), road("Q", synchronising=3), road("DERIVATIVE")]
    worlds = [await World.make(engine, *roads) for _ in range(3)]
    for n, world in enumerate(worlds):
        await world.register(*(new(f"p{n}{m}") for m in range(4)))
        await world.register(*(new(f"q{n}{m}", "Q") for m in range(4)))
        children = (new(f"c{n}{m}", "DERIVATIVE", parent_guid=f"p{n}{m}") for m in range(4))
        await world.register(*children)
    await bounded(engine, synchronising=4)
    taken = await asyncio.gather(*(world.claim(limit=3) for world in worlds * 3))
    claims = [(worlds[n % 3], found) for n, some in enumerate(taken) for found in some]
    assert len(claims) == 4
    world, found = claims[0]
    await world.finish(found)
    assert len(await world.claim()) == 1
    await bounded(engine)
    assert len(await world.claim(limit=100)) > 4, "the bound is gone"


async def test_specimens_of_all_pipelines_share_what_the_archive_has_room_for(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, road("P"), road("Q", open_shares_mb=500))
    await world.register(*(new(f"p{n}", size_mb=60) for n in range(3)))
    await world.register(*(new(f"q{n}", "Q", size_mb=60) for n in range(3)))
    await bounded(engine, open_shares_mb=200)
    claims = await world.claim()
    assert len(claims) == 3 and await world.claim() == []
    await world.finish(claims[0])
    assert len(await world.claim()) == 1


async def test_a_bound_that_is_set_again_is_no_change(engine: AsyncEngine) -> None:
    await World.make(engine, road("P"))
    assert [await bounded(engine, synchronising=n) for n in (12, 12, 6)] == [True, False, True]
