"""The due table on the real database: what is due, what is still needed, what is left."""

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.sites import Site
from tests.support.world import World, install_sites, new
from track.records import retention
from track.records.files import due_for_removal
from track.records.retention import Copy
from track.schema.database import transact

PIPELINE = {"pipeline": "P", "stages": [{"key": "load", "run": "module load"}]}
MUTE = {
    "site": "mute",
    "kind": "pull",
    "root": "/home/r",
    "python": "/usr/bin/python3",
    "block": "mute",
    "callback": "none",
}


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, PIPELINE)
    local = Site.model_validate({"site": "local", "kind": "local", "root": "/r"})
    sites = [local, Site.model_validate(MUTE)]
    await transact(engine, install_sites, sites)
    await made.register(new("g"))
    await made.finish_all()
    await made.sql("UPDATE track.asset SET finalised_at = now()")
    return made


async def enter(world: World, kind: str, location: str, keep_s: float = -1) -> None:
    keep = timedelta(seconds=keep_s)
    await transact(world.engine, due_for_removal, "g", kind, location, keep=keep)


async def due(world: World, after: retention.Place = retention.START) -> list[Copy]:
    return await transact(world.engine, retention.due, after=after)


async def needed(world: World, copy: Copy) -> str | None:
    return await transact(world.engine, retention.why_needed, copy)


async def test_only_what_has_had_its_time_is_due_and_a_page_goes_on_where_it_ended(
    world: World,
) -> None:
    await enter(world, "store", "/s/g")
    await enter(world, "ndrive", "/n", keep_s=3600)
    await enter(world, "site", "local")
    found = await due(world)
    assert [(copy.kind, copy.requires) for copy in found] == [
        ("store", ("erda",)),
        ("site", ("erda",)),
    ]
    assert await due(world, after=found[0].place) == found[1:]


async def test_copies_at_other_sites_stay_due_and_say_who_removes_them(world: World) -> None:
    await enter(world, "site", "mute")
    assert await due(world) == []
    for dry_run in (True, False, False):
        left = await transact(world.engine, retention.leave_to_drivers, dry_run=dry_run)
        assert left == 1
    rows = await world.sql("SELECT outcome, done_at FROM track.retention")
    assert rows == [(retention.OTHERS_DRIVER, None)]


async def test_a_copy_stays_while_its_asset_is_worked_on(world: World) -> None:
    await enter(world, "store", "/s/g")
    (copy,) = await due(world)
    assert await needed(world, copy) is None
    await world.sql("UPDATE track.job SET state = 'queued'")
    assert await needed(world, copy) == "g is being worked on"
    await world.sql("UPDATE track.asset SET finalised_at = NULL")
    assert "not finalised" in str(await needed(world, copy))


async def test_a_copy_stays_while_a_derivative_is_worked_on(world: World) -> None:
    await enter(world, "site", "local")
    (copy,) = await due(world)
    await world.register(new("g_400", parent_guid="g"))
    assert await needed(world, copy) == "g_400 is being worked on"
    relatives = await transact(world.engine, retention.relatives, copy)
    assert relatives == ["g", "g_400"]


async def test_a_held_row_is_nobody_elses_and_a_removed_one_is_not_due(world: World) -> None:
    await enter(world, "store", "/s/g")
    (copy,) = await due(world)
    async with world.engine.begin() as first:
        assert await retention.hold(first, copy)
        async with world.engine.begin() as second:
            assert not await retention.hold(second, copy)
        await retention.note_removed(first, copy, "removed")
    assert await due(world) == []
    assert not await transact(world.engine, retention.hold, copy)
    history = await world.sql("SELECT new FROM track.history WHERE what = 'copy.removed'")
    assert history == [("store",)]
