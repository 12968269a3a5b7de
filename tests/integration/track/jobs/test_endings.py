"""The end of an asset: noted where its last stage is finished, and not the end any more after."""

import asyncio
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.sites import Site
from tests.support.at_site import queue, until_blocked
from tests.support.world import HERE, World, install_sites, new
from track.commands import shares
from track.commands.switches import set_priority
from track.jobs import verbs
from track.jobs.claims import Claim
from track.schema.database import transact
from track.schema.states import State

STAGES: list[dict[str, Any]] = [
    {"key": "create", "run": "refinery.create"},
    {"key": "ocr", "run": "module ocr", "needs": "create"},
    {"key": "end", "run": "refinery.finalise", "needs": "ocr"},
]
ENDED = "SELECT finalised_at IS NOT NULL, released_at IS NOT NULL FROM track.asset WHERE guid = 'g'"
DUE = "SELECT kind FROM track.retention WHERE done_at IS NULL ORDER BY kind"


def road(*more: dict[str, Any], **throttle: int) -> dict[str, Any]:
    return {"pipeline": "P", "throttle": throttle, "stages": [*STAGES, *more]}


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, road())
    await made.register(new("g", source_path="/n/g"))
    return made


async def reach(world: World, stage: str) -> Claim:
    """Finish what comes before a stage, and take that up."""
    while True:
        (found,) = await world.claim()
        if found.stage == stage:
            return found
        await world.finish(found)


async def share_is_open(world: World, guid: str, mb: int = 1) -> None:
    await transact(world.engine, shares.opening, guid, mb)


async def test_an_end_that_has_to_be_done_again_leaves_no_end_behind(world: World) -> None:
    end = await reach(world, "end")
    ocr = await world.job_id("g", "ocr")
    await transact(world.engine, verbs.resubmit, ocr, actor="o", why="again")
    await world.finish(end)
    assert await world.sql(ENDED) == [(False, False)] and await world.sql(DUE) == []
    (found,) = await world.claim()
    await transact(world.engine, verbs.end, found.job_id, State.FAILED, actor="t", why="torn")
    assert await world.sql(ENDED) == [(False, True)] and await world.sql(DUE) == []


@pytest.mark.parametrize(
    ("site", "due"), [("here", [("ndrive",), ("site",)]), ("far", [("ndrive",)])]
)
async def test_the_end_enters_every_copy_that_we_can_reach_into_the_due_table(
    world: World, site: str, due: list[tuple[str]]
) -> None:
    far = Site.model_validate({"site": "far", "kind": "pull", "callback": "none"})
    await transact(world.engine, install_sites, [HERE, far])
    await queue(world, await reach(world, "ocr"), site)
    await world.sql("UPDATE track.job SET state = 'returned' WHERE state = 'queued'")
    ocr = await world.job_id("g", "ocr")
    await transact(world.engine, verbs.finish, ocr, actor="t")
    await world.finish(await reach(world, "end"))
    assert await world.sql(ENDED) == [(True, True)]
    assert await world.sql(DUE) == due


async def test_a_stage_added_to_finished_assets_lets_them_in_again_and_redoes_their_end(
    world: World,
) -> None:
    await world.register(new("h"))
    await world.finish_all()
    await world.sql("UPDATE track.retention SET done_at = now()")
    leaf = {"key": "colour", "run": "module crop", "needs": "create"}
    await World.make(world.engine, road(leaf, assets_in_flight=1))
    (found,) = await world.claim()
    assert found.stage == "colour" and await world.claim() == []
    await share_is_open(world, found.guid)
    await world.finish(found)
    (end,) = await world.claim()
    assert (end.guid, end.stage) == (found.guid, "end"), "before anybody else is let in"
    await transact(world.engine, shares.closed, end.guid)
    await world.finish(end)
    (other,) = await world.claim()
    assert other.guid != found.guid
    await world.finish(other)
    await world.finish_all()
    over = "SELECT count(finalised_at), count(released_at), count(reopened_at) FROM track.asset"
    assert await world.sql(over) == [(2, 2, 0)]
    assert await world.sql(DUE) == [("ndrive",)]


async def test_two_last_stages_that_finish_at_once_are_both_seen(world: World) -> None:
    await world.finish_all()
    leaves = [{"key": k, "run": "module crop", "needs": "create"} for k in ("a", "b")]
    await World.make(world.engine, road(*leaves))
    first, second = await world.claim()
    async with world.engine.begin() as one:
        await verbs.finish(one, first.job_id, actor="t")
        finishing = asyncio.create_task(world.finish(second))
        await until_blocked(world.engine, finishing)
    await finishing
    assert [found.stage for found in await world.claim()] == ["end"]


async def test_a_failed_specimens_open_share_still_takes_its_room(world: World) -> None:
    await World.make(world.engine, road(open_shares_mb=100, assets_in_flight=1))
    await world.register(new("h", size_mb=50))
    await transact(world.engine, set_priority, 9, guid="g", actor="t")
    (found,) = await world.claim()
    await share_is_open(world, "g", 60)
    await transact(world.engine, verbs.end, found.job_id, State.FAILED, actor="t", why="no")
    assert await world.claim() == [], "60 MB are open, and 50 would be more than 100"
    await transact(world.engine, verbs.resubmit, found.job_id, actor="t", why="")
    assert [each.guid for each in await world.claim()] == ["g"], "its own share does not hold it"
    await transact(world.engine, verbs.end, found.job_id, State.FAILED, actor="t", why="no")
    await transact(world.engine, shares.closed, "g")
    assert [each.guid for each in await world.claim()] == ["h"]


async def test_specimens_that_wait_with_open_shares_do_not_wait_for_one_another(
    world: World,
) -> None:
    await World.make(world.engine, road(open_shares_mb=100))
    await world.register(new("h"))
    for found in await world.claim():
        await share_is_open(world, found.guid, 60)
        await transact(
            world.engine,
            verbs.end,
            found.job_id,
            State.FAILED,
            actor="t",
            why="no",  # type: ignore[misc]
        )
        await transact(
            world.engine,
            verbs.resubmit,
            found.job_id,
            actor="t",
            why="",  # type: ignore[misc]
        )
    assert len(await world.claim()) == 1
