"""Throttles: never exceeded, never leaked, and never in the way of what would make room."""

import asyncio
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, new
from track.commands.switches import set_priority
from track.jobs import verbs
from track.schema.database import transact
from track.schema.states import State

FLIGHT = "SELECT count(*) FROM track.asset WHERE admitted_at IS NOT NULL AND released_at IS NULL"


def chain(*keys: str, **throttle: int) -> dict[str, Any]:
    stages = [
        {"key": key, "run": "module load", "needs": [keys[n - 1]] if n else []}
        for n, key in enumerate(keys)
    ]
    return {"pipeline": "P", "throttle": throttle, "stages": stages}


async def test_any_number_of_held_specimens_does_not_hide_what_would_make_room(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, chain("a", "b", assets_in_flight=1))
    await world.register(new("under way"), *(new(f"g{n:03}", priority=9) for n in range(200)))
    await transact(engine, set_priority, 99, guid="under way", actor="t")
    (first,) = await world.claim(limit=1)
    assert first.guid == "under way"
    await transact(engine, set_priority, 0, guid="under way", actor="t")
    await world.finish(first)
    assert [(c.guid, c.stage) for c in await world.claim(limit=1)] == [("under way", "b")]


async def test_derivatives_are_not_hidden_by_specimens_that_wait_to_be_let_in(
    engine: AsyncEngine,
) -> None:
    child = {"pipeline": "CHILD", "stages": [{"key": "create", "run": "refinery.create"}]}
    world = await World.make(engine, child, chain("a", assets_in_flight=1))
    await world.register(*(new(f"g{n:03}") for n in range(200)))
    (first,) = await world.claim(limit=1)
    await world.register(new("child", "CHILD", parent_guid=first.guid))
    assert [found.guid for found in await world.claim(limit=1)] == ["child"]


async def test_a_specimen_with_two_first_stages_is_let_in_once(engine: AsyncEngine) -> None:
    two = {
        "pipeline": "P",
        "throttle": {"assets_in_flight": 1},
        "stages": [{"key": key, "run": "module load"} for key in ("a", "b")],
    }
    world = await World.make(engine, two)
    await world.register(new("g1"), new("g2"))
    assert {(found.guid, found.stage) for found in await world.claim()} == {
        ("g1", "a"),
        ("g1", "b"),
    }


async def test_a_specimen_done_again_waits_to_be_let_in_again(engine: AsyncEngine) -> None:
    world = await World.make(engine, chain("a", "b", assets_in_flight=1))
    await world.register(new("g1"), new("g2"))
    (first,) = await world.claim()
    await transact(engine, verbs.end, first.job_id, State.FAILED, actor="test", why="torn")
    (second,) = await world.claim()
    assert second.guid == "g2"
    await transact(engine, verbs.resubmit, first.job_id, actor="test", why="again")
    assert await world.sql(FLIGHT) == [(1,)]
    assert await world.claim() == []
    await world.finish(second)
    (last,) = await world.claim()
    await world.finish(last)
    assert [found.guid for found in await world.claim()] == ["g1"]


async def test_a_specimen_whose_failed_stage_is_skipped_waits_to_be_let_in_again(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, chain("a", "b", assets_in_flight=1))
    await world.register(new("g1"), new("g2"))
    (first,) = await world.claim()
    await transact(engine, verbs.end, first.job_id, State.FAILED, actor="test", why="torn")
    (second,) = await world.claim()
    await transact(engine, verbs.skip, first.job_id, actor="test", why="")
    assert await world.claim() == []
    await world.finish(second)
    (last,) = await world.claim()
    await world.finish(last)
    assert [found.guid for found in await world.claim()] == ["g1"]


async def test_a_specimen_whose_last_stage_is_skipped_makes_room(engine: AsyncEngine) -> None:
    world = await World.make(engine, chain("a", "b", assets_in_flight=1))
    await world.register(new("g1"), new("g2"))
    (first,) = await world.claim()
    last = await world.job_id("g1", "b")
    await transact(engine, verbs.skip, last, actor="test", why="not wanted")
    await world.finish(first)
    assert [found.guid for found in await world.claim()] == ["g2"]


async def test_dispatchers_that_claim_and_finish_at_once_never_exceed_a_throttle(
    engine: AsyncEngine,
) -> None:
    definition = chain("a", "b", assets_in_flight=3)
    worlds = [await World.make(engine, definition) for _ in range(4)]
    for n, world in enumerate(worlds):
        await world.register(*(new(f"g{n}{m}") for m in range(6)))
    seen: list[int] = []
    over = asyncio.Event()

    async def watch() -> None:
        async with engine.connect() as connection:
            while not over.is_set():
                seen.append((await connection.execute(text(FLIGHT))).scalar_one())
                await connection.rollback()
                await asyncio.sleep(0.002)

    async def work(world: World) -> None:
        async with asyncio.timeout(120):
            while await world.sql(
                "SELECT 1 FROM track.job j JOIN track.asset a ON a.guid = j.asset_guid"
                " WHERE a.session_id = :id AND j.state <> 'done'",
                id=world.session_id,
            ):
                for found in await world.claim(limit=2):
                    await world.finish(found)

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(work(world) for world in worlds))
    over.set()
    await watching
    assert 0 < max(seen) <= 3
    assert await world.sql(FLIGHT) == [(0,)]


async def test_no_more_than_allowed_synchronise_at_once(engine: AsyncEngine) -> None:
    sync = {
        "pipeline": "P",
        "throttle": {"synchronising": 2},
        "stages": [{"key": "s", "run": "refinery.synchronise"}],
    }
    first, second = await World.make(engine, sync), await World.make(engine, sync)
    await first.register(*(new(f"g{n}") for n in range(5)))
    await second.register(*(new(f"h{n}") for n in range(5)))
    taken = await asyncio.gather(*(world.claim(limit=3) for world in (first, second) * 3))
    assert sum(map(len, taken)) == 2
    found = next(found for each in taken for found in each)
    holder = first if found.guid.startswith("g") else second
    await holder.finish(found)
    assert len(await second.claim()) == 1


async def test_a_specimen_whose_last_stage_is_taken_out_makes_room(engine: AsyncEngine) -> None:
    world = await World.make(engine, chain("a", "b", assets_in_flight=1))
    await world.register(new("g1"), new("g2"))
    (first,) = await world.claim()
    await world.finish(first)
    await World.make(engine, chain("a", assets_in_flight=1))
    assert [found.guid for found in await world.claim()] == ["g2"]


async def test_a_tile_without_a_neighbour_makes_room(engine: AsyncEngine) -> None:
    tiles = {
        "pipeline": "P",
        "throttle": {"assets_in_flight": 1},
        "stages": [
            {"key": "find", "run": "module load"},
            {"key": "match", "run": "module crop", "needs": {"stage": "find", "of": {"z": 1}}},
        ],
    }
    world = await World.make(engine, tiles)
    await world.register(new("t0", x=0, y=0, z=0, priority=-1), new("t1", x=0, y=0, z=1))
    (last,) = await world.claim()
    assert last.guid == "t1"
    await world.finish(last)
    assert "t0" in {found.guid for found in await world.claim()}
