"""A dispatcher that has had its share of subflows: the session never stands still for it."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prefect import flow
from prefect.client.schemas.objects import State
from sqlalchemy.ext.asyncio import AsyncEngine

from flows.dispatch import dispatch
from schemas.pace import Pace
from tasks.dispatch.held_job import held_job
from tests.support.flow_world import undispatched
from tests.support.world import World, new
from track.jobs.claims import Claim, returned
from track.schema.database import transact
from track.schema.states import State as JobState

PIPELINE = {"pipeline": "P", "stages": [{"key": "create", "run": "refinery.create"}]}
PACE = Pace(tick_s=0.1, recheck_s=0.1, subflows=2, at_once=2)
QUICK = [f"q{n}" for n in range(5)]
PATIENCE_S = 240


@dataclass
class Work:
    """A built-in stage of which the specimen `slow` takes until it is let go."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    begun: list[str] = field(default_factory=list)

    def flow(self) -> Any:
        @flow(name="archive", flow_run_name="{claim.guid} create")
        async def work(claim: Claim) -> None:
            async with held_job(claim).run_stage():
                self.begun.append(claim.guid)
                if claim.guid == "slow":
                    await self.go.wait()

        return work


@pytest.fixture
async def world(blocks: Path, engine: AsyncEngine) -> World:
    slow = new("slow", priority=9)
    return await undispatched(engine, PIPELINE, slow, *(new(guid) for guid in QUICK))


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    made = Work()
    monkeypatch.setitem(dispatch.fn.__globals__["BUILTINS"], "create", made.flow())
    return made


async def run(world: World, pace: Pace = PACE) -> State[Any]:
    async with asyncio.timeout(PATIENCE_S):
        state: State[Any] = await dispatch(world.session_id, pace, return_state=True)
    return state


async def done(world: World) -> int:
    ((n,),) = await world.sql("SELECT count(*) FROM track.job WHERE state = 'done'")
    return int(str(n))


async def test_the_session_goes_on_while_its_slowest_subflow_is_waited_for(
    world: World, work: Work
) -> None:
    running = asyncio.create_task(run(world))
    async with asyncio.timeout(PATIENCE_S):
        while await done(world) < len(QUICK):
            await asyncio.sleep(0.05)
    assert (await world.states("slow"))["create"] == JobState.CLAIMED
    work.go.set()
    assert (await running).name == "Finished"


async def test_what_takes_too_long_is_left_to_the_successor(
    world: World, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.dispatch.dispatcher.WIND_DOWN_S", 0.3)
    monkeypatch.setattr("tasks.dispatch.dispatcher.STRETCH", 1)
    state = await run(world)
    assert state.name == "Handed Over"
    assert (await world.states("slow"))["create"] == JobState.READY
    asked = await world.sql("SELECT wake_requested_at IS NOT NULL FROM track.session")
    assert asked == [(True,)]
    work.go.set()
    assert (await run(world, PACE.model_copy(update={"subflows": 9}))).name == "Finished"
    assert await done(world) == len(QUICK) + 1
    assert await world.sql("SELECT max(tries) FROM track.job") == [(0,)]


async def test_results_that_came_back_are_taken_within_the_room_the_longest_back_first(
    world: World,
) -> None:
    await world.sql("UPDATE track.job SET state = 'returned', updated_at = now()")
    await world.sql(
        "UPDATE track.job SET updated_at = now() - interval '1 hour' WHERE asset_guid = 'q3'"
    )
    job = await world.job_id("q3", "create")

    async def look(limit: int, *without: int) -> list[str]:
        found = await transact(
            world.engine,
            returned,
            world.session_id,
            limit=limit,
            without=without,
        )
        return [each.guid for each in found]

    assert await look(1) == ["q3"]
    assert len(await look(3)) == 3
    assert "q3" not in await look(9, job)
