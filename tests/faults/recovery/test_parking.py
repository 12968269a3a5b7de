"""Callbacks start no dispatcher where one lives and one where none does; handing over is safe."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.announcer import Announcer
from schemas.sites import Site
from tests.support.at_site import complete, queue, start
from tests.support.events_server import EventsServer
from tests.support.one_specimen import DISPATCH, Waves, dispatchers
from tests.support.stack import Stack
from tests.support.world import World, install_sites, new
from track.schema.database import transact

MANY = 300
AT_ONCE = 8
PIPELINE = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}
RESTLESS = {"tick_s": 0.5, "recheck_s": 1, "linger_s": 0.2, "subflows": 6}


@pytest.fixture
async def prefect(engine: AsyncEngine) -> AsyncIterator[EventsServer]:
    """What Prefect is told; every `session.wake` in it would start one dispatcher."""
    async with EventsServer.serve() as server:
        announcer = Announcer(engine, server.url, tick_s=0.1)
        task = asyncio.create_task(announcer.run())
        yield server
        announcer.stop()
        await task


async def at_site(engine: AsyncEngine) -> tuple[World, list[int]]:
    """A session of many assets, all of which a site runs now."""
    world = await World.make(engine, PIPELINE)
    sites = [Site.model_validate({"site": "alpha", "kind": "local", "root": "/nowhere"})]
    await transact(engine, install_sites, sites)
    await world.register(*(new(f"g{n}") for n in range(MANY)))
    attempts = [await queue(world, found) for found in await world.claim(limit=MANY)]
    for attempt in attempts:
        await start(world, attempt)
    assert len(attempts) == MANY
    return world, attempts


async def bring_all_back(world: World, attempts: list[int]) -> None:
    """All results, several at a time, as clusters send them."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(attempt: int) -> None:
        async with free:
            await complete(world, attempt)

    await asyncio.gather(*(one(attempt) for attempt in attempts))


async def announced(world: World, prefect: EventsServer) -> list[str]:
    """The names of all events, once nothing is owed to Prefect any more."""
    async with asyncio.timeout(120):
        while await world.sql("SELECT FROM track.outbox"):
            await asyncio.sleep(0.05)
    return [event["event"] for event in prefect.events]


async def test_300_callbacks_to_a_live_session_start_no_run(
    engine: AsyncEngine, prefect: EventsServer
) -> None:
    world, attempts = await at_site(engine)
    await bring_all_back(world, attempts)
    names = await announced(world, prefect)
    assert names.count("hpc.job.finished") == MANY
    assert names.count("specimen.session.wake") == 0


async def test_300_callbacks_to_a_parked_session_start_exactly_one(
    engine: AsyncEngine, prefect: EventsServer
) -> None:
    world, attempts = await at_site(engine)
    await world.sql("UPDATE track.dispatcher SET ended_at = now(), ended_why = 'parked'")
    await bring_all_back(world, attempts)
    names = await announced(world, prefect)
    assert names.count("hpc.job.finished") == MANY
    assert names.count("specimen.session.wake") == 1


@pytest.mark.timeout(600)
def test_parking_and_handing_over_again_and_again_lose_nothing(stack: Stack, waves: Waves) -> None:
    """Dispatchers that park at once, and live for six subflows, carry the session all the same."""
    kept = stack.prefect.deployment(DISPATCH)["parameters"]
    restless = kept | {"pace": kept["pace"] | RESTLESS}
    stack.prefect.change_deployment(DISPATCH, parameters=restless)
    try:
        session = stack.follow(waves.drop())
    finally:
        stack.prefect.change_deployment(DISPATCH, parameters=kept)
    waves.as_if_nothing_had_been(session)
    rows = dispatchers(stack, session)
    ends = [row["ended_why"] for row in rows]
    assert len(ends) > 2 and {"parked"} <= set(ends) <= {"parked", "handed over", "finished"}
    for before, after in itertools.pairwise(rows):
        assert before["ended_at"] <= after["started_at"]
