"""What is put off without using a try waits ever longer, and says till when."""

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, new
from track.commands import operations
from track.jobs import verbs
from track.jobs.claims import Claim
from track.jobs.moves import Guard
from track.schema.database import transact
from track.schema.states import State

ONE = {"pipeline": "P", "stages": [{"key": "ingest", "run": "refinery.ingest"}]}
WAIT = "SELECT round(extract(epoch FROM available_at - updated_at)), tries FROM track.job"


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, ONE)
    await made.register(new("g"))
    return made


async def put_off(world: World, *, delay_s: float = 30, grows_to_s: float | None = 1800) -> int:
    """Claim the job and put it off; for how many seconds it was."""
    (found,) = await _claimed(world)
    guard = Guard(dispatcher_id=world.dispatcher_id)
    await transact(
        world.engine,
        verbs.try_again,
        found.job_id,
        actor="t",
        why="the folder is gone",
        uses_try=False,
        guard=guard,
        delay_s=delay_s,
        grows_to_s=grows_to_s,
    )
    ((waits, tries),) = await world.sql(WAIT)
    assert tries == 0
    return int(str(waits))


async def _claimed(world: World) -> list[Claim]:
    await world.sql("UPDATE track.job SET available_at = now()")
    return await world.claim()


async def test_the_pause_doubles_up_to_its_bound_and_uses_no_try(world: World) -> None:
    assert [await put_off(world) for _ in range(8)] == [30, 60, 120, 240, 480, 960, 1800, 1800]


async def test_a_longer_pause_that_was_asked_for_is_kept(world: World) -> None:
    assert [await put_off(world, delay_s=600, grows_to_s=300) for _ in range(3)] == [600] * 3


async def test_the_reason_says_what_is_wrong_and_when_it_is_tried_again(world: World) -> None:
    await put_off(world)
    ((reason, at),) = await world.sql("SELECT reason, available_at FROM track.job")
    assert reason == f"the folder is gone; it is tried again at {at.astimezone():%H:%M:%S}"  # type: ignore[attr-defined]


async def test_a_success_ends_the_row(world: World) -> None:
    assert [await put_off(world) for _ in range(3)] == [30, 60, 120]
    (found,) = await _claimed(world)
    await world.finish(found)
    job_id = found.job_id
    await transact(world.engine, verbs.resubmit, job_id, actor="t", why="again")
    assert await put_off(world) == 30


async def test_a_person_who_resubmits_what_was_put_off_has_it_tried_at_once(
    world: World,
) -> None:
    assert [await put_off(world) for _ in range(3)] == [30, 60, 120]
    assert await world.claim() == []
    job_id = await world.job_id("g", "ingest")
    await world.sql("UPDATE track.dispatcher SET ended_at = now()")
    line = await transact(world.engine, operations.resubmit, job_id, actor="ib", why="it is back")
    assert (line.now, line.note) == (State.READY, "it was put off, and is tried now")
    assert await world.sql("SELECT wake_requested_at IS NOT NULL FROM track.session") == [(True,)]
    await world.dispatch()
    assert await put_off(world) == 30
