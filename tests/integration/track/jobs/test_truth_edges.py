"""Edges against time: edits, rules, redo and newcomers, while other transactions are under way."""

import asyncio
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.at_site import complete, describe, queue, start, until_blocked
from tests.support.world import World, edit, new
from track.commands.assets import register_assets
from track.jobs import verbs
from track.schema.database import transact
from track.schema.states import State


def pipeline(*stages: dict[str, Any], name: str = "P", **more: Any) -> dict[str, Any]:
    return {"pipeline": name, "stages": list(stages), **more}


def stage(key: str, *needs: Any, run: str = "module load", **more: Any) -> dict[str, Any]:
    return {"key": key, "run": run, "needs": list(needs), **more}


ANY_END = ["done", "excluded", "failed", "cancelled"]
RULED = pipeline(
    stage("barcode", run="module barcode", writes=["asset_subject"]),
    stage("ocr", "barcode", run="module ocr"),
    stage("crop", "ocr", run="module crop"),
    exclude=[{"after": "barcode", "when": "asset_subject == 'device target'", "stages": ["crop"]}],
)


async def test_the_second_of_two_finishing_siblings_waits_for_the_first_and_opens_the_join(
    engine: AsyncEngine,
) -> None:
    world = await World.make(
        engine, pipeline(stage("left"), stage("right"), stage("join", "left", "right"))
    )
    await world.register(new("g"))
    left, right = await world.claim()
    async with engine.begin() as tx:
        await verbs.finish(tx, left.job_id, actor="test")
        other = asyncio.create_task(world.finish(right))
        await until_blocked(engine, other)
    await other
    assert (await world.states("g"))["join"] == State.READY


async def test_an_edge_that_accepts_a_failure_is_followed_when_it_fails(
    engine: AsyncEngine,
) -> None:
    world = await World.make(
        engine, pipeline(stage("a"), stage("b", {"stage": "a", "accept": ANY_END}))
    )
    await world.register(new("g"), new("h"))
    for found, end in zip(await world.claim(), (State.FAILED, State.CANCELLED), strict=True):
        await transact(
            engine, lambda tx, f=found, e=end: verbs.end(tx, f.job_id, e, actor="test", why="no")
        )
    assert (await world.states("g"))["b"] == State.READY
    assert (await world.states("h"))["b"] == State.READY


async def test_what_was_built_on_an_accepted_failure_is_done_again_with_it(
    engine: AsyncEngine,
) -> None:
    world = await World.make(
        engine, pipeline(stage("a"), stage("b", {"stage": "a", "accept": ANY_END}))
    )
    await world.register(new("g"))
    (a,) = await world.claim()
    await transact(engine, verbs.end, a.job_id, State.FAILED, actor="t", why="no")
    await world.finish_all()
    await transact(engine, verbs.resubmit, a.job_id, actor="test", why="again")
    assert await world.states("g") == {"a": State.READY, "b": State.WAITING}


async def test_a_job_that_finishes_while_its_pipeline_is_edited_opens_the_new_stage(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, pipeline(stage("a")))
    await world.register(new("g"))
    (a,) = await world.claim()
    async with engine.begin() as tx:
        await verbs.finish(tx, a.job_id, actor="test")
        editing = asyncio.create_task(edit(engine, pipeline(stage("a"), stage("b", "a"))))
        await until_blocked(engine, editing)
    await editing
    assert (await world.states("g"))["b"] == State.READY


async def test_a_job_that_comes_back_while_its_pipeline_is_edited_is_held_by_the_new_edge(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, pipeline(stage("a")))
    await world.register(new("g"))
    (a,) = await world.claim()
    again = {"actor": "test", "why": "later", "uses_try": False, "delay_s": 0.0}
    async with engine.begin() as tx:
        await verbs.try_again(tx, a.job_id, **again)  # type: ignore[arg-type]
        editing = asyncio.create_task(edit(engine, pipeline(stage("new"), stage("a", "new"))))
        await until_blocked(engine, editing)
    await editing
    assert await world.states("g") == {"new": State.READY, "a": State.WAITING}


async def test_an_asset_that_arrives_while_its_pipeline_is_edited_gets_the_new_stage(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, pipeline(stage("a")))
    async with engine.begin() as tx:
        await register_assets(tx, world.session_id, [new("g")], actor="test")
        editing = asyncio.create_task(edit(engine, pipeline(stage("a"), stage("b", "a"))))
        await until_blocked(engine, editing)
    await editing
    assert await world.states("g") == {"a": State.READY, "b": State.WAITING}


async def test_a_derivative_that_arrives_while_its_parents_stage_ends_does_not_wait_for_ever(
    engine: AsyncEngine,
) -> None:
    child = pipeline(stage("create", {"stage": "label", "of": "parent"}), name="CHILD")
    parent = pipeline(stage("label"), stage("derive", emits="CHILD"))
    world = await World.make(engine, child, parent)
    await world.register(new("p"))
    label = next(found for found in await world.claim() if found.stage == "label")
    async with engine.begin() as tx:
        await verbs.finish(tx, label.job_id, actor="test")
        arriving = asyncio.create_task(world.register(new("c", "CHILD", parent_guid="p")))
        await until_blocked(engine, arriving)
    await arriving
    assert (await world.states("c"))["create"] == State.READY


async def test_two_neighbours_that_arrive_at_once_see_each_other(engine: AsyncEngine) -> None:
    tiles = pipeline(stage("find"), stage("match", "find", {"stage": "find", "of": {"z": 1}}))
    world = await World.make(engine, tiles)
    async with engine.begin() as tx:
        first = [new("t0", x=0, y=0, z=0)]
        await register_assets(tx, world.session_id, first, actor="test")
        arriving = asyncio.create_task(world.register(new("t1", x=0, y=0, z=1)))
        await until_blocked(engine, arriving)
    await arriving
    assert (await world.states("t0"))["match"] == State.WAITING


async def test_a_job_of_a_stage_taken_out_meanwhile_is_left_out_when_it_comes_back(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, pipeline(stage("a"), stage("b")))
    await world.register(new("g"))
    found = {each.stage: each for each in await world.claim()}
    await edit(engine, pipeline(stage("b")))
    await transact(
        engine,
        verbs.try_again,
        found["a"].job_id,
        actor="t",
        why="",
        uses_try=False,
    )
    assert (await world.states("g"))["a"] == State.EXCLUDED


async def test_a_rule_still_holds_for_a_job_that_waits_again_later(engine: AsyncEngine) -> None:
    world = await World.make(engine, RULED)
    await world.register(new("g"))
    await describe(world, "g", asset_subject="device target")
    await world.finish_all()
    assert (await world.states("g"))["crop"] == State.EXCLUDED
    ocr = await world.job_id("g", "ocr")
    await transact(engine, verbs.resubmit, ocr, actor="operator", why="again")
    await world.finish_all()
    assert (await world.states("g"))["crop"] == State.EXCLUDED


async def test_a_rule_that_comes_true_while_its_stage_runs_keeps_it_from_running_again(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, RULED)
    await world.register(new("g"))
    await describe(world, "g")
    await world.finish_all("barcode", "ocr")
    (barcode, crop) = (await world.job_id("g", "barcode"), await world.job_id("g", "crop"))
    assert (await world.states("g"))["crop"] == State.CLAIMED
    await transact(engine, verbs.resubmit, barcode, actor="operator", why="again")
    await world.sql(
        'UPDATE metadata.document SET body = body || \'{"asset_subject": "device target"}\''
    )
    await world.finish_all("barcode", "ocr")
    await transact(engine, verbs.finish, crop, actor="test")
    assert (await world.states("g"))["crop"] == State.EXCLUDED


async def test_a_redo_takes_back_what_was_done_and_marks_what_is_under_way(
    engine: AsyncEngine,
) -> None:
    world = await World.make(
        engine,
        pipeline(
            stage("a"),
            stage("done", "a"),
            stage("ready", "a"),
            stage("under_way", "a"),
            stage("after", "done"),
        ),
    )
    await world.register(new("g"))
    (first,) = await world.claim()
    await world.finish(first)
    claims = {found.stage: found for found in await world.claim()}
    states = await world.states("g")
    assert {states[key] for key in ("done", "ready", "under_way")} == {State.CLAIMED}
    await world.finish(claims["done"])
    await transact(
        engine,
        verbs.try_again,
        claims["ready"].job_id,
        actor="t",
        why="",
        uses_try=False,
        delay_s=0,
    )
    a = await world.job_id("g", "a")
    await transact(engine, verbs.resubmit, a, actor="operator", why="again")
    assert await world.states("g") == {
        "a": State.READY,
        "done": State.WAITING,
        "ready": State.WAITING,
        "under_way": State.CLAIMED,
        "after": State.WAITING,
    }
    await world.finish(claims["under_way"])
    assert (await world.states("g"))["under_way"] == State.WAITING
    await world.finish_all()
    assert set((await world.states("g")).values()) == {State.DONE}


async def test_a_mark_to_do_it_again_ends_with_the_next_claim(engine: AsyncEngine) -> None:
    world = await World.make(engine, pipeline(stage("a"), stage("b", "a")))
    await world.register(new("g"))
    await world.finish_all("a")
    job_id = await world.job_id("g", "b")
    a = await world.job_id("g", "a")
    await transact(engine, verbs.resubmit, a, actor="operator", why="again")
    assert await world.sql("SELECT redo FROM track.job WHERE id = :id", id=job_id) == [(True,)]
    await transact(engine, verbs.try_again, job_id, actor="t", why="", uses_try=False, delay_s=0)
    assert (await world.states("g"))["b"] == State.WAITING
    await world.finish((await world.claim())[0])
    (b,) = await world.claim()
    assert await world.sql("SELECT redo FROM track.job WHERE id = :id", id=job_id) == [(False,)]
    await world.finish(b)
    assert (await world.states("g"))["b"] == State.DONE


async def test_an_emitter_that_is_done_again_declares_anew(engine: AsyncEngine) -> None:
    child = pipeline(stage("sync", run="refinery.synchronise"), name="CHILD")
    parent = pipeline(
        stage("derive", run="module derive", emits="CHILD", params={"ppi": [72]}),
        stage("clean", {"stage": "sync", "of": "children"}),
    )
    world = await World.make(engine, child, parent)
    await world.register(new("p"))
    await describe(world, "p")
    (derive,) = await world.claim()
    attempt = await queue(world, derive)
    await start(world, attempt)
    made = {
        "guid": "p_72",
        "ppi": 72,
        "file_format": "jpeg",
        "payload_type": "image",
        "file": {"name": "p_72.jpg", "crc32": 1, "size_bytes": 1},
    }
    await complete(world, attempt, result={"derivatives": [made]})
    await transact(engine, verbs.finish, derive.job_id, actor="test")
    await world.finish_all()
    assert (await world.states("p"))["clean"] == State.DONE
    await transact(engine, verbs.resubmit, derive.job_id, actor="o", why="again")
    assert await world.states("p") == {"derive": State.READY, "clean": State.WAITING}


async def test_a_derivative_waits_for_a_stage_its_parent_gets_in_the_same_edit(
    engine: AsyncEngine,
) -> None:
    derive = stage("derive", emits="CHILD")
    child = pipeline(stage("create"), name="CHILD")
    world = await World.make(engine, child, pipeline(derive))
    await world.register(new("p"))
    await world.register(new("c", "CHILD", parent_guid="p"))
    waits = pipeline(stage("create", {"stage": "label", "of": "parent"}), name="CHILD")
    await edit(engine, waits, pipeline(stage("label"), derive))
    assert (await world.states("c"))["create"] == State.WAITING
    await world.finish_all("label")
    assert (await world.states("c"))["create"] in (State.READY, State.CLAIMED)
