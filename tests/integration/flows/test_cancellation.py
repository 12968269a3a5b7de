"""Prefect's own cancel: of one asset's subflow it ends the job, of a dispatcher it releases."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterName,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelled, Cancelling
from sqlalchemy.ext.asyncio import AsyncEngine

from flows.dispatch import dispatch
from hpc.callers import MessageRefused
from hpc.ends import of_runner
from hpc.sites.collect import report
from schemas.pace import Pace
from schemas.sites import Site
from tests.support.at_site import WHO, complete, start
from tests.support.callbacks import until
from tests.support.flow_world import undispatched
from tests.support.world import World, install_sites, new
from track.jobs.batches import read_batches
from track.jobs.batching import take_batches
from track.schema.database import transact
from track.schema.states import State as JobState

PIPELINE = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load", "retries": 1},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}
PACE = Pace(tick_s=0.1, recheck_s=0.1, linger_s=600)
PATIENCE_S = 120
QUEUED = """
    SELECT t.id FROM track.attempt t JOIN track.job j ON j.attempt_id = t.id
    WHERE j.state = 'queued' AND j.asset_guid = :guid
"""


@pytest.fixture
async def world(blocks: Path, engine: AsyncEngine) -> World:
    """A registered session of two assets and an open site, and no dispatcher yet."""
    made = await undispatched(engine, PIPELINE, new("g"), new("h"))
    sites = [Site.model_validate({"site": "here", "kind": "local", "root": "/nowhere"})]
    await transact(engine, install_sites, sites)
    return made


@asynccontextmanager
async def dispatching(world: World) -> AsyncIterator[asyncio.Task[State[Any]]]:
    """A dispatch run at work on the world's session; ended whatever happens."""
    running: asyncio.Task[State[Any]] = asyncio.create_task(
        dispatch(world.session_id, PACE, return_state=True)
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield running
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def subflow(client: PrefectClient, world: World, name: str) -> FlowRun:
    """The newest run of that name below the world's dispatcher, once there is one."""
    found: list[FlowRun] = []

    async def there() -> bool:
        parents = await world.sql("SELECT flow_run_id FROM track.dispatcher")
        mine = FlowRunFilter(
            name=FlowRunFilterName(any_=[name]),
            parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[UUID(str(p)) for (p,) in parents])
            if parents
            else None,
        )
        found[:] = await client.read_flow_runs(flow_run_filter=mine) if parents else []
        return any(run.state is not None and run.state.is_running() for run in found)

    await until(there)
    return found[0]


async def ended(client: PrefectClient, run: FlowRun) -> State[Any]:
    async def final() -> bool:
        state = (await client.read_flow_run(run.id)).state
        return state is not None and state.is_final()

    await until(final)
    state = (await client.read_flow_run(run.id)).state
    assert state is not None
    return state


async def queued(world: World, guid: str) -> int:
    async def there() -> bool:
        return bool(await world.sql(QUEUED, guid=guid))

    await until(there)
    ((attempt,),) = await world.sql(QUEUED, guid=guid)
    assert isinstance(attempt, int)
    return attempt


async def finish(world: World, guid: str) -> None:
    """Start and bring back whatever the site has of an asset, to its last stage."""
    for _ in PIPELINE["stages"]:
        attempt = await queued(world, guid)
        await start(world, attempt)
        await complete(world, attempt)


async def is_load(world: World, guid: str, state: JobState) -> None:
    async def so() -> bool:
        return (await world.states(guid))["load"] == state

    await until(so)


async def test_a_cancelled_subflow_takes_its_queued_job_out_and_no_other(world: World) -> None:
    async with dispatching(world) as running, get_client() as client:
        await queued(world, "g")
        run = await subflow(client, world, "g load")
        await client.set_flow_run_state(run.id, Cancelling())
        assert (await ended(client, run)).type == StateType.CANCELLED
        assert await world.states("g") == {"load": JobState.CANCELLED, "ocr": JobState.WAITING}
        await finish(world, "h")
        assert (await running).name == "Finished"
    assert await world.states("h") == {"load": JobState.DONE, "ocr": JobState.DONE}
    who = await world.sql("SELECT actor, why FROM track.history WHERE new = 'cancelled'")
    assert who == [(f"run:{run.id}", "its run was cancelled in Prefect")]


async def test_a_started_job_is_cancelled_once_its_site_has_shown_the_end(world: World) -> None:
    async with dispatching(world), get_client() as client:
        attempt = await queued(world, "g")
        (batch,) = await transact(world.engine, take_batches, "here", members=9, size=9)
        await start(world, attempt)
        run = await subflow(client, world, "g load")
        await client.set_flow_run_state(run.id, Cancelling())

        async def asked() -> bool:
            return bool(
                await world.sql(
                    "SELECT 1 FROM track.attempt WHERE id = :a AND cancel_requested_at IS NOT NULL",
                    a=attempt,
                )
            )

        await until(asked)
        assert (await world.states("g"))["load"] == JobState.RUNNING
        state = (await client.read_flow_run(run.id)).state
        assert state is not None and state.type == StateType.CANCELLING

        async def evidence(tx: Any) -> None:
            (found,) = await read_batches(tx, [batch])
            member = next(each for each in found.members if each.attempt == attempt)
            found = of_runner(143, started=member.started)
            await report(tx, attempt, found, actor="driver:here", exit_code=143)

        await transact(world.engine, evidence)
        await is_load(world, "g", JobState.CANCELLED)
        assert (await ended(client, run)).type == StateType.CANCELLED


async def test_a_finish_that_comes_first_wins_over_the_cancel(world: World) -> None:
    async with dispatching(world), get_client() as client:
        attempt = await queued(world, "g")
        await start(world, attempt)
        run = await subflow(client, world, "g load")
        await client.set_flow_run_state(run.id, Cancelling())
        await complete(world, attempt)
        await is_load(world, "g", JobState.DONE)
        await queued(world, "g")
        assert (await ended(client, run)).type in (StateType.CANCELLED, StateType.COMPLETED)


async def test_a_run_set_to_cancelled_by_force_ends_its_job_too(world: World) -> None:
    async with dispatching(world), get_client() as client:
        attempt = await queued(world, "g")
        run = await subflow(client, world, "g load")
        await client.set_flow_run_state(run.id, Cancelled(), force=True)
        await is_load(world, "g", JobState.CANCELLED)
        with pytest.raises(MessageRefused):
            await start(world, attempt)
        assert (await ended(client, run)).type == StateType.CANCELLED


async def test_a_cancelled_dispatcher_gives_its_jobs_back_and_a_successor_goes_on(
    world: World,
) -> None:
    async with dispatching(world) as running:
        attempt = await queued(world, "g")
        await start(world, attempt)
        await queued(world, "h")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert (await world.states("g"))["load"] == JobState.RUNNING
    assert (await world.states("h"))["load"] == JobState.QUEUED
    assert (
        await world.sql("SELECT 1 FROM track.attempt WHERE cancel_requested_at IS NOT NULL") == []
    )
    await complete(world, attempt, **WHO)
    async with dispatching(world) as running:
        attempt = await queued(world, "g")
        await start(world, attempt)
        await complete(world, attempt)
        await finish(world, "h")
        assert (await running).name == "Finished"


def terminate() -> None:
    """SIGTERM, whose handler runs here: at the next instruction of this thread."""
    os.kill(os.getpid(), signal.SIGTERM)


async def terminate_in_task() -> None:
    terminate()


@pytest.mark.parametrize("within", ["task", "callback"])
async def test_sigterm_that_meets_what_runs_beside_a_dispatcher_still_ends_it(
    world: World, within: str
) -> None:
    loop, mine = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)
    loop.set_exception_handler(lambda loop, context: None)
    signal.signal(signal.SIGTERM, lambda *_: None)  # Prefect sends it on to whose it was before
    try:
        async with dispatching(world) as running:
            await queued(world, "g")
            if within == "task":
                await asyncio.wait([asyncio.create_task(terminate_in_task())])
            else:
                loop.call_soon(terminate)
            await asyncio.wait([running])
            assert isinstance(running.exception(), TerminationSignal)
    finally:
        signal.signal(signal.SIGTERM, mine)
    ((why,),) = await world.sql("SELECT ended_why FROM track.dispatcher")
    assert why == "broken off"
    assert signal.set_wakeup_fd(-1) == -1
    del running
    gc.collect()  # Prefect's client of the run, which its end left open: here that is borne
