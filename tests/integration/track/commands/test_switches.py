"""Attention, switches and priority, and whom they wake, on the real database."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, new
from track.commands import switches
from track.commands.selection import CannotDo
from track.commands.site_health import degrade, recover
from track.jobs.outlook import outlook
from track.schema.database import transact

PIPELINE = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, PIPELINE)
    await made.register(new("g"))
    return made


async def do(world: World, verb: Any, *given: Any, **named: Any) -> Any:
    return await transact(world.engine, verb, *given, actor="operator:ib", **named)


async def park(world: World) -> None:
    await world.sql("UPDATE track.dispatcher SET ended_at = now()")


async def is_woken(world: World) -> bool:
    ((asked,),) = await world.sql(
        "SELECT wake_requested_at IS NOT NULL FROM track.session WHERE id = :id",
        id=world.session_id,
    )
    return bool(asked)


async def test_attention_holds_and_clearing_it_wakes_the_session(world: World) -> None:
    assert (await do(world, switches.set_attention, "g", "a blurred label")).changed
    assert await world.claim() == []
    await park(world)
    assert not await is_woken(world)
    assert (await do(world, switches.set_attention, "g", None)).changed
    assert await is_woken(world)
    assert not (await do(world, switches.set_attention, "g", None)).changed
    history = await world.sql(
        "SELECT actor, old, new FROM track.history WHERE what = 'asset.attention' ORDER BY id"
    )
    assert history == [
        ("operator:ib", None, "a blurred label"),
        ("operator:ib", "a blurred label", None),
    ]


async def test_clearing_a_parents_attention_wakes_its_childs_session(world: World) -> None:
    await world.register(new("g_400", parent_guid="g"))
    await do(world, switches.set_attention, "g", "look")
    await world.sql("UPDATE track.job SET state = 'done' WHERE asset_guid = 'g'")
    await park(world)
    await do(world, switches.set_attention, "g", None)
    assert await is_woken(world)


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        (switches.switch_pipeline, ("P",)),
        (switches.switch_stage, ("load", "P")),
        (switches.switch_stage, ("load", None)),
    ],
)
async def test_what_is_switched_off_is_not_claimed_and_on_again_wakes(
    world: World, verb: Any, given: tuple[Any, ...]
) -> None:
    await do(world, verb, *given, False)
    assert await world.claim() == []
    await park(world)
    assert (await do(world, verb, *given, True)).now == "on"
    assert await is_woken(world)


async def test_switching_on_one_of_two_switches_wakes_nobody(world: World) -> None:
    await do(world, switches.switch_pipeline, "P", False)
    await do(world, switches.switch_stage, "load", "P", False)
    await park(world)
    await do(world, switches.switch_stage, "load", "P", True)
    assert not await is_woken(world)


async def test_a_live_dispatcher_is_left_to_find_it_itself(world: World) -> None:
    await do(world, switches.switch_pipeline, "P", False)
    await do(world, switches.switch_pipeline, "P", True)
    assert not await is_woken(world)


async def test_a_stage_name_that_two_pipelines_have_needs_the_pipeline(world: World) -> None:
    await World.make(world.engine, PIPELINE | {"pipeline": "Q"})
    with pytest.raises(CannotDo, match="P, Q have a stage 'load'"):
        await do(world, switches.switch_stage, "load", None, False)


async def test_unknown_switches_are_answered_with_the_nearest(world: World) -> None:
    with pytest.raises(CannotDo, match="did you mean 'load'"):
        await do(world, switches.switch_stage, "lod", "P", False)
    with pytest.raises(CannotDo, match="site: no site 'moon'"):
        await do(world, switches.switch_site, "moon", False)


async def test_what_no_site_may_take_is_not_claimed_and_a_site_that_opens_wakes_it(
    world: World,
) -> None:
    await do(world, switches.switch_site, "here", False)
    assert await world.claim() == []
    await park(world)
    assert not await is_woken(world)
    await do(world, switches.switch_site, "here", True)
    assert await is_woken(world)


async def test_a_site_that_recovers_wakes_what_waited_for_it(world: World) -> None:
    await transact(world.engine, degrade, "here", "no space")
    assert await world.claim() == []
    async with world.engine.connect() as connection:
        seen = await outlook(connection, world.session_id)
    assert (seen.ready, seen.without_site, seen.quiet, seen.may_park) == (0, 1, False, True)
    await park(world)
    await transact(world.engine, recover, "here")
    assert await is_woken(world)


async def test_a_priority_covers_derivatives_and_is_set_once(world: World) -> None:
    await world.register(new("g_400", parent_guid="g"), new("h"))
    lines = await do(world, switches.set_priority, 7, guid="g")
    assert [(line.guid, line.now) for line in lines] == [("g", "7"), ("g_400", "7")]
    assert await do(world, switches.set_priority, 7, guid="g") == []
    assert len(await do(world, switches.set_priority, 1, session_id=world.session_id)) == 3
    with pytest.raises(CannotDo, match="one of the two"):
        await do(world, switches.set_priority, 1)
