"""Waiting for a site's word when events do not come, and when the database stumbles."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hpc import protocol
from hpc.callers import RunnerCaller
from schemas.attempts import Complete, Result, Start
from tasks.dispatch.waiting import EventWaiter
from tests.support.callbacks import until
from tests.support.serving import free_port
from tests.support.world import World, new
from track.jobs import verbs
from track.records.wake import ASK_FOR_JOBS, MAX_NAMED, wake
from track.schema.database import transact
from track.schema.states import State

PIPELINE = {"pipeline": "P", "stages": [{"key": "load", "run": "module load"}]}
PATIENCE_S = 60
HOUR_S = 3600.0


@pytest.fixture
def silence() -> Iterator[None]:
    """A Prefect that cannot be reached, so that no event ever comes."""
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        yield


@pytest.fixture
async def world(silence: None, engine: AsyncEngine) -> World:
    """Two assets whose jobs a site runs."""
    made = await World.make(engine, PIPELINE)
    await made.register(new("g"), new("h"))
    for found in await made.claim():
        await transact(
            engine,
            verbs.enqueue_at_site,
            found.job_id,
            "here",
            dispatcher_id=made.dispatcher_id,
            actor="test",
        )
    return made


@asynccontextmanager
async def listening(
    world: World, recheck_s: float, notify: Callable[[], None] = lambda: None
) -> AsyncIterator[EventWaiter]:
    callbacks = EventWaiter(world.engine, world.session_id, recheck_s, notify)
    callbacks.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield callbacks
    finally:
        await callbacks.stop()


async def come_back(world: World, guid: str) -> None:
    """The site completes a job, and nobody is told."""
    job_id = await world.job_id(guid, "load")
    ((attempt_id, fence),) = await world.sql(
        "SELECT id, fence FROM track.attempt WHERE job_id = :j", j=job_id
    )
    assert isinstance(attempt_id, int) and isinstance(fence, int)
    native = {"native_id": "native", "nonce": "n"}
    start, done = Start(**native), Complete(**native, result=Result())
    await transact(world.engine, protocol.start, RunnerCaller(attempt_id, fence), start)
    await transact(
        world.engine,
        protocol.complete,
        RunnerCaller(attempt_id, fence),
        done,
    )


async def test_a_job_that_came_back_before_it_was_waited_for_is_seen_at_once(world: World) -> None:
    await come_back(world, "g")
    async with listening(world, HOUR_S) as callbacks:
        assert await callbacks.await_end(await world.job_id("g", "load")) == State.RETURNED


async def test_a_callback_is_heard_of_from_the_database_while_prefect_is_away(
    world: World,
) -> None:
    async with listening(world, HOUR_S) as callbacks:
        waiting = asyncio.create_task(callbacks.await_end(await world.job_id("g", "load")))
        # Once it listens, which takes a moment, what came before is read; what comes then, too.
        await come_back(world, "g")
        assert await waiting == State.RETURNED


async def test_of_an_awaited_job_nobody_looks_for_other_work(world: World) -> None:
    asked: list[str] = []
    async with listening(world, HOUR_S, lambda: asked.append("look")) as callbacks:

        async def hears() -> bool:
            return asked == ["look"]  # what came before it listened

        await until(hears)
        waiting = asyncio.create_task(callbacks.await_end(await world.job_id("g", "load")))
        while not callbacks.waiting:
            await asyncio.sleep(0)
        await come_back(world, "g")
        assert await waiting == State.RETURNED
        assert asked == ["look"]
        await come_back(world, "h")  # whom nobody awaits

        async def looks() -> bool:
            return asked == ["look", "look"]

        await until(looks)


async def test_one_notice_of_very_many_jobs_has_all_that_are_awaited_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ASK_FOR_JOBS.text.replace(f"<= {MAX_NAMED} ", "<= 1 ")
    assert few != ASK_FOR_JOBS.text
    monkeypatch.setattr("track.records.wake.ASK_FOR_JOBS", text(few))
    asked: list[str] = []
    jobs = [await world.job_id(guid, "load") for guid in "gh"]
    async with listening(world, HOUR_S, lambda: asked.append("look")) as callbacks:

        async def hears() -> bool:
            return bool(asked)

        await until(hears)
        waiting = [asyncio.create_task(callbacks.await_end(each)) for each in jobs]
        while callbacks.waiting < len(jobs):
            await asyncio.sleep(0)
        await world.sql("UPDATE track.job SET state = 'returned'")
        await transact(world.engine, wake, jobs)
        assert await asyncio.gather(*waiting) == [State.RETURNED, State.RETURNED]
        assert len(asked) > 1


async def test_a_listener_that_the_database_cut_off_listens_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.dispatch.waiting.RECONNECT_S", 0.05)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
    cut += " AND datname = current_database()"
    async with listening(world, HOUR_S) as callbacks:
        waiting = asyncio.create_task(callbacks.await_end(await world.job_id("g", "load")))

        async def is_cut_off() -> bool:
            return bool(await world.sql(cut))

        await until(is_cut_off)
        await come_back(world, "g")
        assert await waiting == State.RETURNED


async def test_a_lost_event_is_made_up_for_while_others_keep_coming(world: World) -> None:
    silent, busy = [await world.job_id(guid, "load") for guid in "gh"]
    async with listening(world, 0.3) as callbacks:
        waiting = [asyncio.create_task(callbacks.await_end(each)) for each in (silent, busy)]

        async def burst() -> None:
            while True:
                callbacks.look(busy)
                await asyncio.sleep(0.02)

        events = asyncio.create_task(burst())
        await come_back(world, "g")
        assert await waiting[0] == State.RETURNED
        events.cancel()
    assert await waiting[1] is None


async def test_a_database_that_stumbles_costs_only_a_moment(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tasks.dispatch.waiting.RECONNECT_S", 0.05)
    job_id = await world.job_id("g", "load")
    async with listening(world, HOUR_S) as callbacks:
        await world.sql("ALTER TABLE track.job RENAME TO job_out_of_reach")
        waiting = asyncio.create_task(callbacks.await_end(job_id))
        while "cannot be read" not in caplog.text:
            await asyncio.sleep(0.02)
        await world.sql("ALTER TABLE track.job_out_of_reach RENAME TO job")
        await come_back(world, "g")
        callbacks.look(job_id)
        assert await waiting == State.RETURNED
