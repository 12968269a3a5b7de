"""An edit of a pipeline with specimens in it: short, then in pages, whoever dies in between."""

import asyncio
import time
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.pipeline.load import Pipeline
from tests.support.at_site import until_blocked
from tests.support.world import World, edit, new
from track.commands.assets import register_assets
from track.commands.back_fill import back_fill, back_fill_page
from track.commands.pipelines import load_pipelines
from track.jobs import verbs
from track.schema.database import transact
from track.schema.states import State

MANY = 20_000
LONGEST_WAIT_S = 0.5


def pipeline(*stages: dict[str, Any], name: str = "P", **more: Any) -> dict[str, Any]:
    return {"pipeline": name, "stages": list(stages), **more}


def stage(key: str, *needs: Any, run: str = "module load", **more: Any) -> dict[str, Any]:
    return {"key": key, "run": run, "needs": list(needs), **more}


async def only_load(engine: AsyncEngine, *definitions: dict[str, Any]) -> None:
    """The edit alone, as if it were killed before the first page."""
    given = [Pipeline.model_validate(each) for each in definitions]
    await transact(engine, load_pipelines, given, actor="editor")


async def one_page(engine: AsyncEngine, size: int = 2) -> bool:
    return await transact(engine, back_fill_page, size)


async def everything(world: World) -> list[tuple[object, ...]]:
    return await world.sql("SELECT xmin, * FROM track.job ORDER BY id")


async def test_a_changed_throttle_or_parameter_touches_no_job(engine: AsyncEngine) -> None:
    world = await World.make(engine, pipeline(stage("a"), stage("b", "a")))
    await world.register(*(new(f"g{n}") for n in range(3)))
    before = await everything(world)
    changed = pipeline(
        stage("a", params={"x": 1}),
        stage("b", "a", retries=5),
        throttle={"assets_in_flight": 1},
        exclude=[{"after": "a", "when": "asset_subject == 'label'", "stages": ["b"]}],
    )
    assert await edit(engine, changed) == ["P"]
    assert await everything(world) == before


async def test_a_back_fill_goes_on_where_it_was_killed_and_gives_every_asset_its_job_once(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, pipeline(stage("a")))
    await world.register(*(new(f"g{n}") for n in range(5)))
    await world.finish_all()
    await only_load(engine, pipeline(stage("a"), stage("b", "a")))
    assert await one_page(engine)
    filled = "SELECT asset_guid FROM track.job j JOIN track.stage s ON s.id = j.stage_id"
    filled += " WHERE s.key = 'b' ORDER BY 1"
    assert await world.sql(filled) == [("g0",), ("g1",)]
    # One that arrives now gets all stages there are; also one before the mark.
    await world.register(new("a_new_one"), new("z_new_one"))
    assert await back_fill(engine)
    everyone = ["a_new_one", *(f"g{n}" for n in range(5)), "z_new_one"]
    assert await world.sql(filled) == [(guid,) for guid in everyone]
    for n in range(5):
        assert await world.states(f"g{n}") == {"a": State.DONE, "b": State.READY}
    assert (await world.states("z_new_one")) == {"a": State.READY, "b": State.WAITING}
    assert not await one_page(engine)


async def test_nothing_runs_before_a_stage_that_was_put_ahead_of_it_before_its_page_has_come(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, pipeline(stage("a"), stage("c", "a"), stage("d", "c")))
    await world.register(new("ready"), new("under_way"))
    claims = {found.guid: found for found in await world.claim()}
    await world.finish(claims["ready"])
    assert (await world.states("ready"))["c"] == State.READY
    await only_load(engine, pipeline(stage("a"), stage("b", "a"), stage("c", "b"), stage("d", "c")))
    await world.finish(claims["under_way"])  # follows the new edges, finds no `b`
    assert await world.claim() == []
    for guid in ("ready", "under_way"):
        assert await world.states(guid) == {
            "a": State.DONE,
            "c": State.WAITING,
            "d": State.WAITING,
        }
    await back_fill(engine)
    order = []
    while found := await world.claim():
        order += [(each.guid, each.stage) for each in found]
        for each in found:
            await world.finish(each)
    assert [key for guid, key in order if guid == "ready"] == ["b", "c", "d"]
    assert [key for guid, key in order if guid == "under_way"] == ["b", "c", "d"]


async def test_a_neighbour_that_is_not_there_is_found_missing_once_its_stage_is_filled(
    engine: AsyncEngine,
) -> None:
    find = stage("find")
    world = await World.make(engine, pipeline(find, stage("match", "find")))
    await world.register(*(new(f"t{z}", x=0, y=0, z=z) for z in range(3)))
    near = pipeline(find, stage("mark"), stage("match", "find", {"stage": "mark", "of": {"z": 1}}))
    await only_load(engine, near)
    await world.finish_all("find")
    assert {(await world.states(f"t{z}"))["match"] for z in range(3)} == {State.WAITING}
    await one_page(engine)
    await world.register(new("t3", x=0, y=0, z=3))
    await back_fill(engine)
    matches = [(await world.states(f"t{z}"))["match"] for z in range(4)]
    assert matches == [State.WAITING] * 3 + [State.ABSENT]


async def test_children_are_not_all_there_while_another_stage_is_yet_to_make_some(
    engine: AsyncEngine,
) -> None:
    child = pipeline(stage("sync", run="refinery.synchronise"), name="CHILD")
    derive = stage("derive", run="module derive", emits="CHILD")
    clean = stage("clean", {"stage": "sync", "of": "children"})
    world = await World.make(engine, child, pipeline(derive, clean))
    await world.register(new("p"))
    (made,) = await world.claim()
    await world.register(new("p_1", "CHILD", parent_guid="p"))
    await world.sql("UPDATE track.job SET declared = 1 WHERE id = :id", id=made.job_id)
    await world.finish(made)
    await only_load(engine, pipeline(derive, stage("more", emits="CHILD"), clean))
    await world.finish_all("sync")
    assert (await world.states("p"))["clean"] == State.WAITING
    await back_fill(engine)
    assert await world.states("p") == {
        "derive": State.DONE,
        "more": State.READY,
        "clean": State.WAITING,
    }


async def test_a_stage_taken_out_is_left_out_in_pages_and_never_claimed_meanwhile(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, pipeline(stage("a"), stage("b", "a"), stage("c", "b")))
    await world.register(*(new(f"g{n}") for n in range(5)))
    await world.finish_all("a")
    claimed = [await world.job_id(f"g{n}", "b") for n in range(5)]
    for job_id in claimed:
        await transact(
            engine,
            verbs.try_again,
            job_id,
            actor="t",
            why="",
            uses_try=False,
            delay_s=0,
        )
    await only_load(engine, pipeline(stage("a")))
    (first,) = [await world.claim(limit=1)]
    assert first == []
    while await one_page(engine):
        pass
    for n in range(5):
        assert await world.states(f"g{n}") == {
            "a": State.DONE,
            "b": State.EXCLUDED,
            "c": State.EXCLUDED,
        }
    in_flight = "SELECT guid FROM track.asset WHERE released_at IS NULL"  # one claim judged one
    assert await world.sql(in_flight) == []


async def test_a_second_edit_does_not_wait_for_the_pages_of_the_first(engine: AsyncEngine) -> None:
    world = await World.make(engine, pipeline(stage("a")))
    await world.register(*(new(f"g{n}") for n in range(5)))
    await only_load(engine, pipeline(stage("a"), stage("b", "a")))
    await one_page(engine)
    await only_load(engine, pipeline(stage("a"), stage("c", "a"), stage("d", "a")))
    await back_fill(engine)
    for n in range(5):
        states = await world.states(f"g{n}")
        assert states.pop("b", State.EXCLUDED) == State.EXCLUDED
        assert states == {"a": State.READY, "c": State.WAITING, "d": State.WAITING}


async def test_an_asset_that_was_over_is_admitted_again_with_its_new_stage(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, pipeline(stage("a"), throttle={"assets_in_flight": 1}))
    await world.register(*(new(f"g{n}") for n in range(3)))
    await world.finish_all()
    await world.sql("UPDATE track.asset SET finalised_at = now()")
    await edit(engine, pipeline(stage("a"), stage("b", "a"), throttle={"assets_in_flight": 1}))
    final = "SELECT count(*) FROM track.asset WHERE finalised_at IS NOT NULL"
    assert await world.sql(final) == [(0,)]
    assert len(await world.claim()) == 1


async def test_many_that_a_stage_taken_out_left_open_are_closed_with_as_many_statements_as_one(
    engine: AsyncEngine,
) -> None:
    """Specimens that were over got a stage, and it was taken out again before any had it done."""
    end = stage("end", "a", run="refinery.finalise")
    over = """UPDATE track.asset SET admitted_at = now(), released_at = now(),
                                     finalised_at = now()"""
    sent: list[str] = []
    world = await World.make(engine, pipeline(stage("a"), end))
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *given: sent.append(given[2]))
    counts = []
    for guids in (["g"], [f"h{n}" for n in range(60)]):
        await edit(engine, pipeline(stage("a"), end))
        await world.register(*map(new, guids))
        await world.sql("UPDATE track.job SET state = 'done'")
        await world.sql(over)
        await edit(engine, pipeline(stage("a"), stage("b", "a"), {**end, "needs": ["a", "b"]}))
        assert (await world.states(guids[0]))["b"] == State.READY
        sent.clear()
        await edit(engine, pipeline(stage("a"), end))
        counts.append(len(sent))
        for guid in (guids[0], guids[-1]):
            found = await world.states(guid)
            assert (found["a"], found["end"]) == (State.DONE, State.READY)
    assert counts[0] == counts[1]


async def test_nobody_waits_long_while_a_stage_is_added_to_twenty_thousand_assets(
    engine: AsyncEngine,
) -> None:
    world = await World.make(
        engine, pipeline(stage("a")), pipeline(stage("x"), stage("y", "x"), name="ELSEWHERE")
    )
    await full(world, MANY)
    await world.register(*(new(f"e{n}", "ELSEWHERE") for n in range(400)))
    mine = await world.claim(limit=400)
    editing = asyncio.create_task(edit(engine, pipeline(stage("a"), stage("b", "a"))))
    waits = []
    for found in mine:
        began = time.monotonic()
        await world.finish(found)
        waits.append(time.monotonic() - began)
        if editing.done():
            break
        await asyncio.sleep(0.01)
    await editing
    assert len(waits) > 20
    longest = sorted(waits)[-10:]  # the machine itself may stop for a moment, but not twice more
    assert longest[-3] < LONGEST_WAIT_S, longest
    counted = "SELECT s.key, j.state, count(*) FROM track.job j JOIN track.stage s"
    counted += " ON s.id = j.stage_id JOIN track.pipeline p ON p.id = s.pipeline_id"
    counted += " WHERE p.name = 'P' GROUP BY 1, 2 ORDER BY 1"
    assert await world.sql(counted) == [("a", "done", MANY), ("b", "ready", MANY)]


async def full(world: World, assets: int) -> None:
    """Finished assets of the pipeline P, without their history."""

    async def work(tx: AsyncConnection) -> None:
        for statement in FULL:
            await tx.exec_driver_sql(statement, {"n": assets, "session": world.session_id})

    await transact(world.engine, work)


FULL = (
    """
    INSERT INTO track.asset (guid, session_id, pipeline_id, file_name, admitted_at, released_at)
    SELECT 'g' || n, %(session)s, p.id, 'g' || n, now(), now()
    FROM track.pipeline p, generate_series(1, %(n)s) n WHERE p.name = 'P'
    """,
    """
    INSERT INTO track.job (asset_guid, session_id, stage_id, state)
    SELECT a.guid, a.session_id, s.id, 'done' FROM track.asset a
    JOIN track.stage s ON s.pipeline_id = a.pipeline_id
    WHERE a.session_id = %(session)s AND a.released_at IS NOT NULL
    """,
)


async def test_a_job_that_is_just_put_back_is_judged_by_the_edges_of_today(
    engine: AsyncEngine,
) -> None:
    """It was judged while the new stage was filled, and is committed when that is over."""
    world = await World.make(engine, pipeline(stage("a"), stage("d", "a")))
    await world.register(new("t", x=0, y=0, z=0))
    await world.finish_all()
    job_id = await world.job_id("t", "d")
    above = {"stage": "n", "of": {"z": 1}}  # which nobody has
    await only_load(engine, pipeline(stage("a"), stage("n", "a"), stage("d", "a", above)))
    async with engine.begin() as tx:
        await verbs.resubmit(tx, job_id, actor="person", why="once more")
        filling = asyncio.create_task(back_fill(engine))
        await until_blocked(engine, filling)
    assert await filling
    assert (await world.states("t"))["d"] == State.ABSENT


async def test_a_specimen_that_is_just_registered_is_judged_by_the_edges_of_today(
    engine: AsyncEngine,
) -> None:
    """The same for one that no page could see: it comes while the last of them is made."""
    world = await World.make(engine, pipeline(stage("d")))
    await world.register(new("s", x=9, y=9, z=9))
    await only_load(engine, pipeline(stage("n"), stage("d", {"stage": "n", "of": {"z": 1}})))
    async with engine.begin() as tx:
        newcomers = [new("t", x=0, y=0, z=0)]
        await register_assets(tx, world.session_id, newcomers, actor="test")
        filling = asyncio.create_task(back_fill(engine))
        await until_blocked(engine, filling)
    assert await filling
    assert await world.states("t") == {"n": State.READY, "d": State.ABSENT}
