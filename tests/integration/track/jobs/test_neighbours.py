"""Tiles whose neighbour comes late: of these there is something to do again."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, edit, new
from track.commands import operations
from track.jobs import verbs
from track.schema.database import transact
from track.schema.states import State

TILES: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "find", "run": "module load"},
        {
            "key": "match",
            "run": "module crop",
            "needs": ["find", {"stage": "find", "of": {"z": 1}}],
        },
    ],
}
APART: dict[str, Any] = {
    "pipeline": "P",
    "stages": [TILES["stages"][0], TILES["stages"][1] | {"needs": ["find"]}],
}
ROOM = """
    SELECT admitted_at IS NOT NULL AS admitted, released_at IS NOT NULL AS released
    FROM track.asset WHERE guid = 'first'
"""
INSIDE, LEFT, OUTSIDE = (True, False), (True, True), (False, False)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """A tile without a neighbour."""
    made = await World.make(engine, TILES)
    await made.register(new("first", x=0, y=0, z=0))
    return made


async def arrive(world: World) -> None:
    await world.register(new("next", x=0, y=0, z=1))


async def test_a_tile_counts_against_its_throttle_again_once_its_neighbour_comes(
    world: World,
) -> None:
    (found,) = await world.claim()
    assert await world.sql(ROOM) == [INSIDE]
    await world.finish(found)
    assert await world.states("first") == {"find": State.DONE, "match": State.ABSENT}
    assert await world.sql(ROOM) == [LEFT]
    await arrive(world)
    assert (await world.states("first"))["match"] == State.WAITING
    assert await world.sql(ROOM) == [OUTSIDE]
    await world.finish_all()
    assert await world.states("first") == {"find": State.DONE, "match": State.DONE}
    assert await world.sql(ROOM) == [LEFT]


async def test_a_tile_that_gave_up_stays_out_of_its_throttle_when_its_neighbour_comes(
    world: World,
) -> None:
    (found,) = await world.claim()
    failed = {"actor": "test", "why": "it is black"}
    await transact(world.engine, verbs.end, found.job_id, State.FAILED, **failed)
    await arrive(world)
    assert (await world.states("first"))["match"] == State.WAITING
    assert await world.sql(ROOM) == [LEFT]


async def test_what_is_done_again_of_a_tile_follows_the_edges_of_today(engine: AsyncEngine) -> None:
    world = await World.make(engine, APART)
    await world.register(new("first", x=0, y=0, z=0))
    await world.finish_all()
    await edit(engine, TILES)  # it was matched with nobody, and would not be now
    assert await world.states("first") == {"find": State.DONE, "match": State.DONE}
    again = {"actor": "test", "why": "it was out of focus"}
    await transact(engine, operations.resubmit, await world.job_id("first", "find"), **again)
    assert await world.states("first") == {"find": State.READY, "match": State.ABSENT}
    await world.finish_all()
    assert await world.sql(ROOM) == [LEFT]
    await arrive(world)
    await world.finish_all()
    assert await world.states("first") == {"find": State.DONE, "match": State.DONE}
