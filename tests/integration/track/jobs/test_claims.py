"""Claims on the real database: order, throttles, attention, and two dispatchers at once."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, new
from track.commands.switches import set_attention
from track.schema.database import transact
from track.schema.states import State


def pipeline(**throttle: int) -> dict[str, object]:
    return {
        "pipeline": "P",
        "throttle": throttle,
        "stages": [
            {"key": "a", "run": "module load"},
            {"key": "b", "run": "module clean", "needs": "a"},
        ],
    }


async def test_later_stages_are_taken_first(engine: AsyncEngine) -> None:
    world = await World.make(engine, pipeline())
    await world.register(new("g1"), new("g2"))
    (first,) = await world.claim(limit=1)
    await world.finish(first)
    claims = await world.claim()
    assert [(found.guid, found.stage) for found in claims] == [("g1", "b"), ("g2", "a")]


async def test_priority_comes_before_everything(engine: AsyncEngine) -> None:
    world = await World.make(engine, pipeline())
    await world.register(new("g1"), new("g2", priority=5))
    assert [found.guid for found in await world.claim(limit=1)] == ["g2"]


async def test_only_so_many_assets_are_in_flight(engine: AsyncEngine) -> None:
    world = await World.make(engine, pipeline(assets_in_flight=2))
    await world.register(*(new(f"g{n}") for n in range(5)))
    claims = await world.claim()
    assert len(claims) == 2
    assert await world.claim() == []
    for found in claims:
        await world.finish(found)
    assert {found.stage for found in await world.claim()} == {"b"}


async def test_a_specimen_larger_than_the_allowance_goes_alone(engine: AsyncEngine) -> None:
    world = await World.make(engine, pipeline(open_shares_mb=100))
    await world.register(new("big", size_mb=500), new("small", size_mb=1))
    assert [found.guid for found in await world.claim()] == ["big"]
    assert await world.claim() == []


async def test_two_dispatchers_never_admit_more_than_the_throttle(engine: AsyncEngine) -> None:
    first = await World.make(engine, pipeline(assets_in_flight=7))
    second = await World.make(engine, pipeline(assets_in_flight=7))
    await first.register(*(new(f"g{n}") for n in range(30)))
    await second.register(*(new(f"h{n}") for n in range(30)))
    taken = await asyncio.gather(*(world.claim(limit=3) for world in (first, second) * 5))
    assert sum(len(claims) for claims in taken) == 7


async def test_attention_holds_an_asset_and_its_descendants(engine: AsyncEngine) -> None:
    world = await World.make(engine, pipeline())
    await world.register(new("p"))
    await world.register(new("child", parent_guid="p"))
    await transact(engine, set_attention, "p", "look at it", actor="t")
    assert await world.claim() == []
    await transact(engine, set_attention, "p", None, actor="t")
    assert len(await world.claim()) == 2


async def test_a_switched_off_stage_is_not_claimed(engine: AsyncEngine) -> None:
    world = await World.make(engine, pipeline())
    await world.register(new("g"))
    await world.sql("UPDATE track.stage SET active = false WHERE key = 'a'")
    assert await world.claim() == []
    assert (await world.states("g"))["a"] == State.READY
