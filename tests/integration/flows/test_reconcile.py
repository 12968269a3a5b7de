"""Reconcile as Prefect runs it: orphaned runs end, sessions are woken, quiet is quiet."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import yaml
from prefect import flow, task
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelling, Crashed, Pending, Running, Scheduled
from sqlalchemy.ext.asyncio import AsyncEngine

from flows.reconcile import reconcile
from tasks.upkeep.reconcile import end_orphans, on_their_way
from tests.support.world import World, new

PIPELINE = {"pipeline": "P", "stages": [{"key": "load", "run": "module load"}]}
PATIENCE = timedelta(seconds=60)
ROOT = Path(__file__).parents[3]


@flow(name="dispatch")
async def dispatched(session: UUID) -> None:
    """Stands for a dispatcher's run: what counts is its name, state and parameter."""


@flow(name="module")
async def subflow() -> None:
    """Stands for one of its subflows."""


@task(name="module")
async def waiting() -> None:
    """Stands for the task run by which Prefect ties a subflow to its parent."""


@pytest.fixture
async def world(blocks: Path, engine: AsyncEngine) -> World:
    made = await World.make(engine, PIPELINE)
    await made.register(new("g"))
    await made.sql("UPDATE track.session SET registered_at = now()")
    return made


async def message() -> str:
    state = await reconcile(return_state=True)
    assert state.is_completed()
    return str(state.message)


async def run_of(client: PrefectClient, world: World) -> FlowRun:
    """A running dispatch run that the world's dispatcher belongs to."""
    parameters = {"session": str(world.session_id)}
    run = await client.create_flow_run(dispatched, parameters=parameters, state=Running())
    await world.sql("UPDATE track.dispatcher SET flow_run_id = :run", run=run.id)
    return run


async def child_of(client: PrefectClient, parent: FlowRun) -> FlowRun:
    waits = await client.create_task_run(
        task=waiting, flow_run_id=parent.id, dynamic_key="0", state=Running()
    )
    return await client.create_flow_run(subflow, parent_task_run_id=waits.id, state=Running())


async def dies(world: World) -> None:
    await world.sql("UPDATE track.dispatcher SET alive_until = now() - interval '10 minutes'")


async def test_a_quiet_system_is_left_in_peace(world: World) -> None:
    said = await message()
    assert said.startswith("all quiet: ") and not any(n in said for n in "123456789")


async def test_runs_of_a_dead_dispatcher_crash_with_their_subflows(world: World) -> None:
    async with get_client() as client:
        run = await run_of(client, world)
        child = await child_of(client, run)
        assert await end_orphans(client, world.engine, PATIENCE) == 0
        await dies(world)
        assert await end_orphans(client, world.engine, PATIENCE) == 2
        for each in (run, child):
            state = (await client.read_flow_run(each.id)).state
            assert state is not None and state.type == StateType.CRASHED
            assert "its jobs go on" in str(state.message)
        assert await end_orphans(client, world.engine, PATIENCE) == 0


async def test_a_dispatch_run_that_never_had_a_dispatcher_crashes(world: World) -> None:
    async with get_client() as client:
        run = await run_of(client, world)
        await world.sql("UPDATE track.dispatcher SET flow_run_id = NULL")
        assert await end_orphans(client, world.engine, PATIENCE) == 0  # it may be about to begin
        assert await end_orphans(client, world.engine, timedelta(0)) == 1
        state = (await client.read_flow_run(run.id)).state
        assert state is not None and state.type == StateType.CRASHED


async def test_a_session_without_a_dispatcher_is_woken_once(world: World) -> None:
    await world.claim()
    await dies(world)
    await world.sql("UPDATE track.job SET updated_at = now() - interval '1 hour'")
    assert "sessions woken 1" in await message()
    assert "sessions woken 0" in await message()


async def test_a_session_whose_dispatcher_waits_for_a_place_is_not_woken_again(
    world: World,
) -> None:
    await dies(world)
    await world.sql("UPDATE track.job SET updated_at = now() - interval '1 hour'")
    async with get_client() as client:
        parameters = {"session": str(world.session_id)}
        run = await client.create_flow_run(dispatched, parameters=parameters, state=Scheduled())
        assert world.session_id in await on_their_way(client, world.engine)
        assert "sessions woken 0" in await message()
        await client.delete_flow_run(run.id)
    assert "sessions woken 1" in await message()


async def unregistered(world: World, opened_s: int) -> None:
    """The session's event was taken, and has led to nothing since."""
    await dies(world)
    await world.sql("DELETE FROM track.job")
    await world.sql("DELETE FROM track.asset")
    await world.sql("DELETE FROM track.dispatcher")
    await world.sql(
        "UPDATE track.session SET registered_at = NULL,"
        f" opened_at = now() - make_interval(secs => {opened_s})"
    )


async def test_a_session_whose_event_was_lost_is_taken_up_after_a_minute(world: World) -> None:
    written = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))
    (minutely,) = (each for each in written["deployments"] if each["name"] == "every-minute")

    async def said() -> str:
        state = await reconcile(**minutely["parameters"], return_state=True)
        return str(state.message)

    await unregistered(world, opened_s=50)
    assert "without registration 0" in await said()
    await unregistered(world, opened_s=61)
    assert "without registration 1" in await said()
    assert "without registration 0" in await said()  # the second event has its minute too


@pytest.mark.parametrize("state", [Scheduled, Pending, Running])
async def test_a_session_whose_run_has_yet_to_take_its_lease_gets_no_second_one(
    world: World, state: Callable[[], State]
) -> None:
    await unregistered(world, opened_s=3600)
    async with get_client() as client:
        parameters = {"session": str(world.session_id)}
        run = await client.create_flow_run(dispatched, parameters=parameters, state=state())
        assert "without registration 0" in await message()
        await client.set_flow_run_state(run.id, Crashed(), force=True)
    assert "without registration 1" in await message()


async def test_a_run_whose_worker_died_before_it_began_holds_its_session_back_no_longer(
    world: World,
) -> None:
    """Killed with the worker while it was pending, it would be on its way for ever."""
    await unregistered(world, opened_s=3600)
    async with get_client() as client:
        parameters = {"session": str(world.session_id)}
        run = await client.create_flow_run(dispatched, parameters=parameters, state=Pending())
        assert world.session_id in await on_their_way(client, world.engine)
        assert await end_orphans(client, world.engine, timedelta(0)) == 1
        assert world.session_id not in await on_their_way(client, world.engine)
        ended = (await client.read_flow_run(run.id)).state
        assert ended is not None and ended.type == StateType.CRASHED


async def test_a_run_that_was_being_cancelled_when_its_dispatcher_died_ends_cancelled(
    world: World,
) -> None:
    async with get_client() as client:
        child = await child_of(client, await run_of(client, world))
        await client.set_flow_run_state(child.id, Cancelling(), force=True)
        await dies(world)
        assert await end_orphans(client, world.engine, PATIENCE) == 2
        state = (await client.read_flow_run(child.id)).state
        assert state is not None and state.type == StateType.CANCELLED
