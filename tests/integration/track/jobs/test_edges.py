"""Edges on the real database: chains, joins, children, neighbours, and being done again."""

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.quarantine import QuarantineEntry
from tests.support.world import World, new
from track.commands.assets import quarantine_all
from track.jobs import verbs
from track.schema.database import transact
from track.schema.states import State


def chain(*keys: str) -> dict[str, object]:
    stages: list[dict[str, object]] = []
    for number, key in enumerate(keys):
        stage: dict[str, object] = {"key": key, "run": "module load"}
        stages.append(stage | ({"needs": keys[number - 1]} if number else {}))
    return {"pipeline": "P", "stages": stages}


async def test_a_chain_runs_in_order(engine: AsyncEngine) -> None:
    world = await World.make(engine, chain("a", "b", "c"))
    await world.register(new("g"))
    order = []
    while claims := await world.claim():
        order += [found.stage for found in claims]
        for found in claims:
            await world.finish(found)
    assert order == ["a", "b", "c"]
    assert set((await world.states("g")).values()) == {State.DONE}


async def test_two_siblings_that_finish_at_once_open_their_join(engine: AsyncEngine) -> None:
    diamond = {
        "pipeline": "P",
        "stages": [
            {"key": "left", "run": "module load"},
            {"key": "right", "run": "module load"},
            {"key": "join", "run": "module clean", "needs": ["left", "right"]},
        ],
    }
    world = await World.make(engine, diamond)
    await world.register(*(new(f"g{n}") for n in range(20)))
    claims = await world.claim(limit=100)
    await asyncio.gather(*(world.finish(found) for found in claims))
    for n in range(20):
        assert (await world.states(f"g{n}"))["join"] == State.READY


async def test_a_parent_waits_for_as_many_children_as_were_declared(engine: AsyncEngine) -> None:
    child = {"pipeline": "CHILD", "stages": [{"key": "sync", "run": "refinery.synchronise"}]}
    parent = {
        "pipeline": "P",
        "stages": [
            {"key": "derive", "run": "module derive", "emits": "CHILD"},
            {
                "key": "clean",
                "run": "module clean",
                "needs": ["derive", {"stage": "sync", "of": "children"}],
            },
        ],
    }
    world = await World.make(engine, child, parent)
    await world.register(new("p"))
    (derive,) = await world.claim()
    await world.register(new("p_400", "CHILD", parent_guid="p"))
    await world.sql("UPDATE track.job SET declared = 2 WHERE id = :id", id=derive.job_id)
    await world.finish(derive)
    await world.finish_all("sync")
    assert (await world.states("p"))["clean"] == State.WAITING
    await world.register(new("p_72", "CHILD", parent_guid="p"))
    await world.finish_all("sync")
    assert (await world.states("p"))["clean"] in (State.READY, State.CLAIMED)


async def test_undeclared_children_are_not_satisfied_and_none_declared_is(
    engine: AsyncEngine,
) -> None:
    child = {"pipeline": "CHILD", "stages": [{"key": "sync", "run": "refinery.synchronise"}]}
    parent = {
        "pipeline": "P",
        "stages": [
            {"key": "derive", "run": "module derive", "emits": "CHILD"},
            {"key": "clean", "run": "module clean", "needs": {"stage": "sync", "of": "children"}},
        ],
    }
    world = await World.make(engine, child, parent)
    await world.register(new("p"), new("q"))
    assert (await world.states("p"))["clean"] == State.WAITING
    first, second = await world.claim()
    await world.sql("UPDATE track.job SET declared = 0 WHERE id = :id", id=first.job_id)
    await world.finish(first)
    await world.finish(second)
    assert (await world.states(first.guid))["clean"] == State.READY
    assert (await world.states(second.guid))["clean"] == State.WAITING


async def test_a_tile_waits_for_its_neighbour_and_the_last_plane_has_none(
    engine: AsyncEngine,
) -> None:
    tiles = {
        "pipeline": "P",
        "stages": [
            {"key": "find", "run": "module load"},
            {
                "key": "match",
                "run": "module clean",
                "needs": ["find", {"stage": "find", "of": {"z": 1}}],
            },
            {"key": "after", "run": "module clean", "needs": "match"},
        ],
    }
    world = await World.make(engine, tiles)
    await world.register(*(new(f"t{z}", x=0, y=0, z=z) for z in range(2)))
    assert (await world.states("t0"))["match"] == State.WAITING
    assert (await world.states("t1"))["match"] == State.ABSENT
    assert (await world.states("t1"))["after"] == State.ABSENT
    found = {claimed.guid: claimed for claimed in await world.claim()}
    await world.finish(found["t0"])
    assert (await world.states("t0"))["match"] == State.WAITING
    await world.finish(found["t1"])
    assert (await world.states("t0"))["match"] == State.READY
    await world.register(new("t2", x=0, y=0, z=2))
    assert (await world.states("t1"))["match"] == State.WAITING
    assert (await world.states("t1"))["after"] == State.WAITING


async def test_doing_a_stage_again_undoes_what_was_built_on_it(engine: AsyncEngine) -> None:
    world = await World.make(engine, chain("a", "b", "c"))
    await world.register(new("g"))
    await world.finish_all()
    job_id = await world.job_id("g", "a")
    await transact(engine, verbs.resubmit, job_id, actor="operator", why="again")
    assert await world.states("g") == {
        "a": State.READY,
        "b": State.WAITING,
        "c": State.WAITING,
    }
    await world.finish_all()
    assert set((await world.states("g")).values()) == {State.DONE}


async def test_a_stage_whose_ground_moved_while_it_ran_runs_again(engine: AsyncEngine) -> None:
    world = await World.make(engine, chain("a", "b"))
    await world.register(new("g"))
    (a,) = await world.claim()
    await world.finish(a)
    (b,) = await world.claim()
    await transact(engine, verbs.resubmit, a.job_id, actor="operator", why="")
    await world.finish(b)
    assert await world.states("g") == {"a": State.READY, "b": State.WAITING}
    await world.finish_all()
    assert set((await world.states("g")).values()) == {State.DONE}


async def test_a_new_stage_back_fills_finished_assets(engine: AsyncEngine) -> None:
    world = await World.make(engine, chain("a", "b"))
    await world.register(*(new(f"g{n}") for n in range(3)))
    await world.finish_all()
    await World.make(engine, chain("a", "b", "compress"))
    for n in range(3):
        assert (await world.states(f"g{n}"))["compress"] == State.READY


async def test_a_removed_stage_hands_its_upstreams_to_its_children(engine: AsyncEngine) -> None:
    world = await World.make(engine, chain("a", "b", "c"))
    await world.register(new("g"))
    (a,) = await world.claim()
    await World.make(engine, chain("a", "c"))
    await world.finish(a)
    states = await world.states("g")
    assert (states["b"], states["c"]) == (State.EXCLUDED, State.READY)


async def test_an_asset_known_from_another_session_is_left_as_it_is(engine: AsyncEngine) -> None:
    first = await World.make(engine, chain("a"))
    await first.register(new("g"))
    await first.finish_all()
    second = await World.make(engine, chain("a"))
    registered = await second.register(new("g"), new("h"))
    assert (registered.new, registered.known) == (["h"], ["g"])
    assert (await second.states("g"))["a"] == State.DONE


async def test_a_quarantined_asset_is_opened_again_by_its_corrected_files(
    engine: AsyncEngine,
) -> None:
    first = await World.make(engine, chain("a", "b"))
    await first.register(new("g"))
    (claimed,) = await first.claim()
    await transact(
        engine,
        quarantine_all,
        {claimed.job_id: QuarantineEntry("g.tif", "truncated", "photograph it again")},
        dispatcher_id=first.dispatcher_id,
        actor="test",
    )
    assert set((await first.states("g")).values()) == {State.FAILED}
    second = await World.make(engine, chain("a", "b"))
    assert (await second.register(new("g"))).reopened == ["g"]
    await second.finish_all()
    assert set((await second.states("g")).values()) == {State.DONE}
