"""A move writes what it says of the job's attempt in the same statement, or nothing at all."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, new
from track.jobs.moves import NOW, Guard, StaleMove, move
from track.schema.database import transact
from track.schema.states import State

PIPELINE: dict[str, object] = {"pipeline": "P", "stages": [{"key": "a", "run": "module ocr"}]}
STANDING = """
    SELECT j.state, t.started_by, t.started_at IS NOT NULL AS started
    FROM track.job j JOIN track.attempt t ON t.id = j.attempt_id
"""
STARTED = {"started_by": "native", "started_at": NOW}


async def queued(engine: AsyncEngine) -> tuple[World, int, int]:
    """A world, its one job, which a site has, and that job's attempt."""
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"))
    (found,) = await world.claim()
    return world, found.job_id, await world.enqueue(found.job_id, "here")


async def start(world: World, job_id: int, attempt: int) -> None:
    guard = Guard(attempt_id=attempt)
    old, now = State.QUEUED, State.RUNNING
    who = {"actor": "test", "guard": guard, "of_attempt": STARTED}
    await transact(world.engine, move, job_id, old, now, **who)


async def test_a_job_and_its_attempt_are_written_together(engine: AsyncEngine) -> None:
    world, job_id, attempt = await queued(engine)
    await start(world, job_id, attempt)
    assert await world.sql(STANDING) == [("running", "native", True)]


async def test_a_move_that_comes_too_late_writes_nothing_of_an_attempt(engine: AsyncEngine) -> None:
    world, job_id, attempt = await queued(engine)
    with pytest.raises(StaleMove):
        await start(world, job_id, attempt + 1)
    assert await world.sql(STANDING) == [("queued", None, False)]


async def test_an_attempt_that_is_closed_keeps_what_it_ended_with(engine: AsyncEngine) -> None:
    world, job_id, attempt = await queued(engine)
    await world.sql("UPDATE track.attempt SET closed_at = now()")
    await start(world, job_id, attempt)
    assert await world.sql(STANDING) == [("running", None, False)]
