"""What loading a definition would do is told with the jobs it concerns, and does nothing."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.pipeline.load import Pipeline
from tests.support.world import World, edit, new
from track.commands.pipeline_plan import PipelinePlan, plan_pipelines
from track.schema.database import transact

LOAD = {"key": "load", "run": "module load"}
OCR = {"key": "ocr", "run": "module ocr", "needs": "load", "params": {"lang": "la"}}


def road(*stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"pipeline": "P", "stages": list(stages), **more}


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    """Three specimens: one is over, one has its `load` in hand, one has not begun."""
    made = await World.make(engine, road(LOAD, OCR))
    await made.register(new("a"), new("b"), new("c"))
    for guid, stages in (("a", ("load", "ocr")), ("b", ())):
        for _ in stages or ("load",):
            (found,) = await made.claim(guid=guid)
            if stages:
                await made.finish(found)
    return made


async def plan(world: World, *given: dict[str, Any]) -> PipelinePlan:
    return await transact(
        world.engine, plan_pipelines, [Pipeline.model_validate(each) for each in given]
    )


async def told(world: World, *given: dict[str, Any]) -> list[tuple[str, str, str, str, int]]:
    found = (await plan(world, *given)).changes
    return [(each.stage, each.what, each.was, each.now, each.jobs) for each in found]


async def test_an_added_stage_comes_to_every_specimen_also_to_those_that_were_over(
    world: World,
) -> None:
    crop = {"key": "crop", "run": "module crop", "needs": "ocr"}
    (change,) = (await plan(world, road(LOAD, OCR, crop))).changes
    assert (change.what, change.now, change.jobs) == ("added", "module crop, needs ocr", 3)
    assert "1 specimens that were over go on" in change.note
    await edit(world.engine, road(LOAD, OCR, crop))
    jobs = "SELECT count(*) FROM track.job j JOIN track.stage s ON s.id = j.stage_id"
    assert await world.sql(f"{jobs} WHERE s.key = 'crop'") == [(3,)], "as many as were told"


async def test_a_stage_taken_out_tells_what_is_left_out_goes_on_and_stays(world: World) -> None:
    (change,) = (await plan(world, road({**OCR, "needs": []}))).changes[1:]
    assert (change.stage, change.what, change.was, change.jobs) == (
        "load", "taken out", "module load", 1,
    )  # fmt: skip
    assert change.note == "left out; 1 under way go on to their end, 1 done stay"


async def test_other_parents_and_other_values_are_told_with_what_has_not_begun(
    world: World,
) -> None:
    changed = {**OCR, "needs": [{"stage": "load", "accept": ["done", "failed"]}], "retries": 5}
    changed["params"] = {"lang": "da"}
    assert await told(world, road(LOAD, changed, throttle={"synchronising": 4})) == [
        ("ocr", "re-parented", "needs load", "needs load (done or failed)", 2),
        ("ocr", "changed", 'params: {"lang": "la"}', 'params: {"lang": "da"}', 2),
        ("ocr", "changed", "no retries", "retries: 5", 2),
        ("", "changed", "no throttle", 'throttle: {"synchronising": 4}', 0),
    ]


async def test_what_is_loaded_already_is_no_change_however_it_is_written(world: World) -> None:
    same = road(LOAD, {**OCR, "needs": [{"stage": "load", "of": "self"}]})
    assert await told(world, same) == []


async def test_a_pipeline_that_is_new_adds_its_stages_to_nobody(world: World) -> None:
    fresh = {"pipeline": "Q", "stages": [LOAD]}
    assert await told(world, fresh) == [("load", "added", "", "module load", 0)]
    found = await plan(world, fresh, road(LOAD, OCR))
    assert found.made_from["Q"] is None and found.made_from["P"] is not None


async def test_a_plan_changes_nothing(world: World) -> None:
    before = await world.sql("SELECT * FROM track.stage ORDER BY id")
    await plan(world, road(LOAD))
    assert await world.sql("SELECT * FROM track.stage ORDER BY id") == before
