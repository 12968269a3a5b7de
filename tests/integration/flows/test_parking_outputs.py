"""A session whose outputs are still on their way parks; their arrival wakes it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from flows.dispatch import dispatch
from hpc import protocol
from hpc.callers import RunnerCaller
from schemas.attempts import Complete, Result, Start
from schemas.files import Output
from schemas.pace import Pace
from tests.support.flow_world import undispatched
from tests.support.world import World, new
from track.commands import healing
from track.jobs.claims import returned
from track.jobs.outlook import outlook
from track.jobs.outputs import note_retrieved
from track.schema.database import transact
from track.schema.states import State as JobState

PIPELINE = {"pipeline": "P", "stages": [{"key": "load", "run": "module load", "retries": 1}]}
HASTY = Pace(tick_s=0.1, recheck_s=0.1, linger_s=0.3)
OUTPUT = Output(path="cut.tif", size_bytes=1, sha256="0" * 64)
PATIENCE_S = 120


@pytest.fixture
async def world(blocks: Path, engine: AsyncEngine) -> World:
    return await undispatched(engine, PIPELINE, new("g"))


@pytest.fixture
async def brought_back(world: World) -> AsyncIterator[None]:
    """A site that runs what is queued and tells of an output that it keeps."""

    async def work() -> None:
        while True:
            for attempt, fence in await world.sql(
                "SELECT t.id, t.fence FROM track.attempt t"
                " JOIN track.job j ON j.attempt_id = t.id WHERE j.state = 'queued'"
            ):
                assert isinstance(attempt, int) and isinstance(fence, int)
                await _end(world, attempt, fence)
            await asyncio.sleep(0.05)

    working = asyncio.create_task(work())
    yield
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def _end(world: World, attempt: int, fence: int) -> None:
    native = {"native_id": f"n{attempt}", "nonce": "n"}

    async def both(tx: AsyncConnection) -> None:
        await protocol.start(tx, RunnerCaller(attempt, fence), Start(**native))
        done = Complete(**native, result=Result(outputs=(OUTPUT,)))
        await protocol.complete(tx, RunnerCaller(attempt, fence), done)

    await transact(world.engine, both)


async def run(world: World) -> State[Any]:
    async with asyncio.timeout(PATIENCE_S):
        state: State[Any] = await dispatch(world.session_id, HASTY, return_state=True)
    return state


async def until_back(world: World, attempts: int = 1) -> None:
    """The site may be slower than a hasty dispatcher."""
    async with asyncio.timeout(PATIENCE_S):
        while await world.sql(
            "SELECT j.state, t.n FROM track.job j JOIN track.attempt t ON t.id = j.attempt_id"
        ) != [("returned", attempts)]:
            await asyncio.sleep(0.05)


async def waking(world: World) -> object:
    ((asked,),) = await world.sql("SELECT wake_requested_at FROM track.session")
    return asked


async def arrive(world: World, trouble: str = "") -> None:
    ((attempt,),) = await world.sql("SELECT max(id) FROM track.attempt")
    assert isinstance(attempt, int)
    await transact(world.engine, note_retrieved, attempt, trouble)


async def test_it_parks_while_outputs_are_brought_and_their_end_wakes_it(
    world: World, brought_back: None
) -> None:
    assert (await run(world)).name == "Parked"
    await until_back(world)
    assert (await run(world)).name == "Parked"
    assert await waking(world) is None
    seen = await transact(world.engine, outlook, world.session_id)
    assert (seen.may_park, seen.quiet, seen.at_sites) == (True, False, 1)
    assert await transact(world.engine, returned, world.session_id) == []
    assert not await transact(world.engine, healing.request_dispatcher, world.session_id)
    await arrive(world)
    assert await waking(world) is not None
    assert (await run(world)).name == "Finished"
    assert await world.states("g") == {"load": JobState.DONE}


async def test_a_live_dispatcher_goes_on_as_soon_as_they_are_here(
    world: World, brought_back: None
) -> None:
    patient = HASTY.model_copy(update={"linger_s": 600})
    running = asyncio.create_task(dispatch(world.session_id, patient, return_state=True))
    await until_back(world)
    await arrive(world)
    async with asyncio.timeout(PATIENCE_S):
        assert (await running).name == "Finished"
    assert await world.states("g") == {"load": JobState.DONE}


async def test_outputs_that_are_lost_wake_it_too_and_their_stage_is_done_again(
    world: World, brought_back: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("track.jobs.setbacks.BACKOFF_S", 0)
    assert (await run(world)).name == "Parked"
    await until_back(world)
    await arrive(world, "cut.tif is not there any more")
    assert await waking(world) is not None
    assert (await run(world)).name == "Parked"
    await until_back(world, attempts=2)
    await arrive(world)
    assert (await run(world)).name == "Finished"
    assert await world.sql("SELECT count(*) FROM track.attempt") == [(2,)]
