"""What reconcile finds and sets right in the database, and that it finds nothing in quiet."""

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, new
from track.commands import healing
from track.jobs.takeover import release_jobs
from track.records.sessions import open_session
from track.schema.database import transact
from track.schema.states import State

PIPELINE = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}
PATIENCE = timedelta(seconds=60)


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, PIPELINE)
    await made.register(new("g"), new("h"))
    await made.sql("UPDATE track.session SET registered_at = now()")
    return made


async def an_hour_passes(world: World) -> None:
    hour = "interval '1 hour'"
    await world.sql(f"UPDATE track.job SET updated_at = updated_at - {hour}")
    await world.sql(
        f"UPDATE track.session SET opened_at = opened_at - {hour},"
        f" wake_requested_at = wake_requested_at - {hour}"
    )


async def dies(world: World) -> None:
    await world.sql(
        "UPDATE track.dispatcher SET alive_until = now() - interval '10 minutes',"
        " started_at = started_at - interval '2 hours'"
    )


async def neglected(world: World) -> list[UUID]:
    return await transact(world.engine, healing.neglected, PATIENCE)


async def unregistered(world: World) -> list[UUID]:
    return await transact(world.engine, healing.unregistered, PATIENCE)


async def request_dispatcher(world: World) -> bool:
    return await transact(world.engine, healing.request_dispatcher, world.session_id)


async def test_in_quiet_nothing_is_found(world: World) -> None:
    await world.claim()
    await an_hour_passes(world)
    assert await neglected(world) == await unregistered(world) == []
    assert await transact(world.engine, healing.forgotten, PATIENCE) == []
    assert await transact(world.engine, healing.close_silent, PATIENCE) == []


async def test_a_dead_dispatchers_claims_are_given_back_and_its_session_is_woken(
    world: World,
) -> None:
    await world.claim()
    await dies(world)
    await an_hour_passes(world)
    assert await neglected(world) == [world.session_id]
    assert await request_dispatcher(world)
    assert (await world.states("g"))["load"] == State.READY
    assert await neglected(world) == []  # it has just been asked for


async def test_a_wake_that_led_to_nothing_is_asked_for_anew(world: World) -> None:
    await dies(world)
    await world.sql("UPDATE track.session SET wake_requested_at = now()")
    assert await neglected(world) == []
    await an_hour_passes(world)
    before = await world.sql("SELECT wake_requested_at FROM track.session")
    assert await request_dispatcher(world)
    assert await world.sql("SELECT wake_requested_at FROM track.session") != before
    unsent = "SELECT event #>> '{payload,session}' FROM track.outbox"
    assert await world.sql(unsent) == [(str(world.session_id),)]


async def test_a_live_dispatcher_is_never_fought(world: World) -> None:
    await world.claim()
    await an_hour_passes(world)
    assert not await request_dispatcher(world)
    assert (await world.states("g"))["load"] == State.CLAIMED


async def test_what_a_person_holds_wakes_nobody(world: World) -> None:
    await dies(world)
    await an_hour_passes(world)
    await world.sql("UPDATE track.asset SET attention = 'look'")
    assert not await request_dispatcher(world)


async def test_a_session_that_nobody_registered_is_taken_up(world: World) -> None:
    await world.sql("UPDATE track.session SET registered_at = NULL")
    await dies(world)
    assert await unregistered(world) == []
    await an_hour_passes(world)
    assert await unregistered(world) == [world.session_id]
    assert await request_dispatcher(world)


async def test_a_folder_that_cannot_be_registered_is_tried_ever_more_seldom(
    world: World,
) -> None:
    await world.sql("UPDATE track.session SET registered_at = NULL")
    await dies(world)
    await an_hour_passes(world)
    for _ in range(3):
        await world.dispatch(alive_s=-100)
    assert await unregistered(world) == []
    await world.sql("UPDATE track.dispatcher SET started_at = now() - interval '5 minutes'")
    assert await unregistered(world) == [world.session_id]


async def test_a_job_that_was_never_resolved_is_found(world: World) -> None:
    await world.sql(
        "UPDATE track.job j SET state = 'done' FROM track.stage s"
        " WHERE s.id = j.stage_id AND s.key = 'load' AND j.asset_guid = 'g'"
    )
    await an_hour_passes(world)
    found = await transact(world.engine, healing.forgotten, PATIENCE)
    assert found == [await world.job_id("g", "ocr")]
    assert await transact(world.engine, healing.re_evaluate, found) == found
    assert (await world.states("g"))["ocr"] == State.READY
    assert await transact(world.engine, healing.re_evaluate, found) == []


async def test_a_silent_dispatcher_is_closed_unless_its_lock_is_held(
    world: World, database: str
) -> None:
    await dies(world)
    key = int.from_bytes(world.session_id.bytes[:8], signed=True)
    address = database.replace("postgresql+psycopg://", "postgresql://")
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as holder:
        await holder.execute("SELECT pg_advisory_lock(%s)", (key,))
        assert await transact(world.engine, healing.close_silent, PATIENCE) == []
        await holder.execute("SELECT pg_advisory_unlock(%s)", (key,))
    closed = await transact(world.engine, healing.close_silent, PATIENCE)
    assert closed == [world.dispatcher_id]


async def test_runs_of_the_dead_are_named_and_those_of_the_living_are_not(world: World) -> None:
    run = uuid4()
    day = timedelta(days=1)
    await world.sql("UPDATE track.dispatcher SET flow_run_id = :run", run=run)
    found = await transact(world.engine, healing.dead_runs, PATIENCE, within=day)
    assert found == {}
    await dies(world)
    found = await transact(world.engine, healing.dead_runs, PATIENCE, within=day)
    assert found == {run: "silent"}


@pytest.mark.parametrize(("succeeded", "why"), [(False, "silent"), (True, "its lease ran out")])
async def test_runs_of_those_that_died_before_a_long_weekend_are_named_after_it(
    world: World, succeeded: bool, why: str
) -> None:
    """The machine was off meanwhile: nobody had ended their rows, and Prefect shows them live."""
    run = uuid4()
    await world.sql(
        "UPDATE track.dispatcher SET flow_run_id = :run, alive_until = now() - interval '3 days',"
        " started_at = now() - interval '4 days'",
        run=run,
    )
    if succeeded:
        heir = await world.dispatch()
        await transact(world.engine, release_jobs, world.session_id, actor="heir", keep=heir)
    else:
        await transact(world.engine, healing.close_silent, PATIENCE)
    day, at_once = timedelta(days=1), timedelta(0)
    found = await transact(world.engine, healing.dead_runs, at_once, within=day)
    assert found == {run: why}


async def a_late_file(world: World) -> UUID:
    """A further session of the world's folder, with no specimen of its own."""
    ((path,),) = await world.sql("SELECT path FROM track.session")
    fields = {"path": str(path), "workstation": "W", "listing_hash": "late", "actor": "test"}
    late = await transact(world.engine, open_session, **fields)
    assert late is not None
    await world.sql("UPDATE track.session SET registered_at = now()")
    return late


async def test_a_finished_session_whose_folder_is_still_open_is_taken_up_to_close_it(
    engine: AsyncEngine,
) -> None:
    """The drive was away when its last specimen was taken in."""
    ingest = {"pipeline": "P", "stages": [{"key": "ingest", "run": "refinery.ingest"}]}
    world = await World.make(engine, ingest)
    await world.register(new("g"))
    await world.sql("UPDATE track.session SET registered_at = now()")

    async def unclosed() -> list[UUID]:
        return await transact(engine, healing.unclosed, PATIENCE)

    async def ends() -> None:
        await world.sql("UPDATE track.session SET finished_at = now() - interval '1 hour'")
        await dies(world)

    await ends()
    assert await unclosed() == [], "its specimen is not in"
    await world.finish_all()
    await ends()
    await world.sql("UPDATE track.job SET state = 'done'")
    assert await unclosed() == [world.session_id]
    assert not await request_dispatcher(world), "there is no work"
    assert await transact(engine, healing.request_dispatcher, world.session_id, idle=True)
    assert await unclosed() == [], "a dispatcher was asked for"
    await world.sql("UPDATE track.session SET wake_requested_at = NULL")
    late = await a_late_file(world)
    assert await unclosed() == [], "a later session of the folder is to close it"
    await world.sql("UPDATE track.session SET finished_at = now() - interval '1 hour'")
    world.session_id = late
    await dies(world)
    await world.dispatch()
    await dies(world)
    assert await unclosed() == [late], "whichever session brought its specimens"
    await world.sql(
        "UPDATE track.session SET wake_requested_at = NULL, path = '/n/W/imported_session 1'"
    )
    assert await unclosed() == []
