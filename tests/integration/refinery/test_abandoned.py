"""A lease that ran out brings its session a new dispatcher, once; a live one is left in peace."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.announcer import watch_leases
from tests.support.world import World, new
from track.commands.healing import abandoned
from track.schema.database import transact
from track.schema.states import State

PIPELINE = {"pipeline": "P", "stages": [{"key": "load", "run": "module load"}]}
WOKEN = "SELECT wake_requested_at FROM track.session WHERE wake_requested_at IS NOT NULL"


async def held(engine: AsyncEngine) -> World:
    """A session whose dispatcher holds its only job."""
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"))
    await world.claim()
    return world


async def dies(world: World) -> None:
    await world.sql("UPDATE track.dispatcher SET alive_until = now() - interval '1 second'")


async def test_a_live_dispatcher_is_left_alone(engine: AsyncEngine) -> None:
    await held(engine)
    assert await transact(engine, abandoned) == []


async def test_the_jobs_of_a_dead_dispatcher_are_released_and_its_session_woken(
    engine: AsyncEngine,
) -> None:
    world = await held(engine)
    await dies(world)
    assert await transact(engine, abandoned) == [world.session_id]
    watching = asyncio.create_task(watch_leases(engine))
    try:
        async with asyncio.timeout(60):
            while not await world.sql(WOKEN):
                await asyncio.sleep(0.05)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert await world.states("g") == {"load": State.READY}
    assert await transact(engine, abandoned) == []


async def test_one_whose_lock_is_still_held_is_asked_for_only_once(engine: AsyncEngine) -> None:
    world = await held(engine)
    await dies(world)
    await world.sql("UPDATE track.session SET wake_requested_at = now()")
    assert await transact(engine, abandoned) == []
