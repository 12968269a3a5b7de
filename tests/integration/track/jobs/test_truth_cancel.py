"""Cancel and moves between sites: what ends, what wins, and what never comes back."""

import asyncio

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from hpc import protocol
from hpc.callers import MessageRefused, RunnerCaller
from hpc.ends import Meaning
from schemas.attempts import Start
from tests.support.at_site import complete, fail, queue, start, until_blocked
from tests.support.world import World, new
from track.jobs import verbs
from track.jobs.attempts import find_attempt
from track.jobs.batching import take_batches
from track.jobs.claims import take_returned
from track.jobs.moves import Guard, StaleMove
from track.schema.database import transact
from track.schema.states import State
from track.schema.tables import attempt as attempts

TWO = {
    "pipeline": "P",
    "stages": [
        {"key": "a", "run": "module load"},
        {"key": "b", "run": "module clean", "needs": "a"},
    ],
}


async def queued(engine: AsyncEngine) -> tuple[World, int, int]:
    """A world with one job in a site's queue: world, job, attempt."""
    world = await World.make(engine, TWO)
    await world.register(new("g"))
    (found,) = await world.claim()
    return world, found.job_id, await queue(world, found)


async def ask_to_stop(world: World, attempt: int) -> None:
    statement = update(attempts).where(attempts.c.id == attempt)
    async with world.engine.begin() as tx:
        await tx.execute(statement.values(cancel_requested_at=attempts.c.queued_at))


async def stopping(engine: AsyncEngine) -> tuple[World, int]:
    """A world with one started job that was asked to stop: world, attempt."""
    world, _, attempt = await queued(engine)
    await start(world, attempt)
    await ask_to_stop(world, attempt)
    return world, attempt


async def lost(world: World, attempt: int) -> None:
    async def report(tx):  # type: ignore[no-untyped-def]
        found = await find_attempt(tx, attempt)
        await protocol.ended(tx, found, Meaning("lost", False, "gone"), actor="driver:alpha")

    await transact(world.engine, report)


async def test_a_start_is_refused_once_a_cancel_was_asked_for(engine: AsyncEngine) -> None:
    world, _, attempt = await queued(engine)
    await ask_to_stop(world, attempt)
    with pytest.raises(MessageRefused):
        await start(world, attempt)


@pytest.mark.parametrize("end", ["lost", "RETRY", "ERROR"])
async def test_any_end_of_a_cancelled_attempt_is_cancelled(engine: AsyncEngine, end: str) -> None:
    world, attempt = await stopping(engine)
    await (lost(world, attempt) if end == "lost" else fail(world, attempt, end))
    assert (await world.states("g"))["a"] == State.CANCELLED


async def test_a_finish_before_the_evidence_of_the_end_wins(engine: AsyncEngine) -> None:
    world, attempt = await stopping(engine)
    await complete(world, attempt)
    await lost(world, attempt)
    assert (await world.states("g"))["a"] == State.RETURNED


async def test_the_evidence_of_the_end_before_a_finish_wins(engine: AsyncEngine) -> None:
    world, attempt = await stopping(engine)
    await lost(world, attempt)
    assert (await complete(world, attempt)).applied == "stale"
    assert (await world.states("g"))["a"] == State.CANCELLED


async def test_a_cancel_does_not_reach_what_has_come_back(engine: AsyncEngine) -> None:
    world, job_id, attempt = await queued(engine)
    await start(world, attempt)
    await ask_to_stop(world, attempt)
    await complete(world, attempt)
    mine = world.dispatcher_id
    assert await transact(engine, take_returned, [job_id], mine)
    guard = Guard(dispatcher_id=mine)
    where = await transact(
        engine,
        verbs.try_again,
        job_id,
        actor="t",
        why="archive down",
        uses_try=False,
        guard=guard,
    )
    assert where == State.READY


async def test_another_site_is_a_new_attempt_and_uses_no_try(engine: AsyncEngine) -> None:
    world, job_id, first = await queued(engine)
    second = await transact(engine, verbs.move_site, job_id, "beta", actor="o", why="quieter")
    rows = await world.sql("SELECT n, fence, site, outcome FROM track.attempt ORDER BY n")
    assert rows == [(1, 1, "alpha", "superseded"), (2, 2, "beta", None)]
    with pytest.raises(MessageRefused):
        await start(world, first)
    assert (await start(world, second, fence=2)).id == second
    assert await world.sql("SELECT tries FROM track.job WHERE id = :id", id=job_id) == [(0,)]
    assert (await fail(world, first)).applied == "stale"
    assert (await complete(world, second, fence=2)).applied == "applied"


async def test_a_started_job_changes_its_site_no_more(engine: AsyncEngine) -> None:
    _, job_id, attempt = await queued(engine)
    async with engine.begin() as tx:
        body = Start(native_id="n1", nonce="x")
        await protocol.start(tx, RunnerCaller(attempt, 1), body)
        moving = asyncio.create_task(
            transact(
                engine, lambda other: verbs.move_site(other, job_id, "beta", actor="o", why="")
            )
        )
        await until_blocked(engine, moving)
    with pytest.raises(StaleMove):
        await moving


async def test_a_job_that_is_being_cancelled_goes_to_no_other_site(engine: AsyncEngine) -> None:
    world, job_id, attempt = await queued(engine)
    await ask_to_stop(world, attempt)
    with pytest.raises(StaleMove):
        await transact(engine, verbs.move_site, job_id, "beta", actor="o", why="")


async def test_a_cancelled_attempt_is_put_into_no_batch(engine: AsyncEngine) -> None:
    world, _, attempt = await queued(engine)
    await ask_to_stop(world, attempt)
    assert await transact(engine, take_batches, "alpha", members=9, size=9) == []


async def test_a_repeated_start_is_granted_to_the_same_process_and_no_other(
    engine: AsyncEngine,
) -> None:
    world, _, attempt = await queued(engine)
    answers = await asyncio.gather(
        *(start(world, attempt, native_id=f"n{n % 3}", nonce=f"x{n % 3}") for n in range(9)),
        return_exceptions=True,
    )
    granted = {n % 3 for n, answer in enumerate(answers) if not isinstance(answer, Exception)}
    refused = {n % 3 for n, answer in enumerate(answers) if isinstance(answer, MessageRefused)}
    assert len(granted) == 1
    assert granted | refused == {0, 1, 2}
    assert not granted & refused
