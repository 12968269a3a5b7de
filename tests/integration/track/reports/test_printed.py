"""What was printed last is that of the attempt which somebody followed, and of no later one."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.at_site import complete, kill, start
from tests.support.world import World, new
from track.reports.printed import NOTHING_PRINTED, PrintedEnd, printed_ends
from track.schema.database import transact

PIPELINE: dict[str, object] = {"pipeline": "P", "stages": [{"key": "a", "run": "module clean"}]}


async def begin(world: World, fence: int = 1) -> tuple[int, int]:
    """Start the job at a site, whatever its pause; the job and its attempt."""
    await world.sql("UPDATE track.job SET available_at = now()")
    (found,) = await world.claim()
    attempt = await world.enqueue(found.job_id, "alpha")
    await start(world, attempt, fence)
    return found.job_id, attempt


async def test_each_attempts_words_are_found_by_who_followed_it(engine: AsyncEngine) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"))
    await world.describe("g")
    job, attempt = await begin(world)
    assert await transact(engine, printed_ends, [job]) == {}, "it is not over"
    await kill(world, attempt, "")
    followed = {job: datetime.now(UTC)}
    first = PrintedEnd(1, "alpha", "failed", "n1", "")
    assert await transact(engine, printed_ends, [job]) == {job: first}
    assert first.words == f"attempt 1 at alpha as n1, failed, {NOTHING_PRINTED}"

    job, attempt = await begin(world, fence=2)
    await complete(world, attempt, fence=2, result={"printed": "all is well"})
    assert await transact(engine, printed_ends, [job], followed) == {job: first}
    (last,) = (await transact(engine, printed_ends, [job])).values()
    assert last.words == "attempt 2 at alpha as n1, done, printed last:\nall is well"


async def test_of_an_end_of_which_nothing_is_known_nothing_is_said(engine: AsyncEngine) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(new("g"))
    job, attempt = await begin(world)
    await kill(world, attempt)
    assert await transact(engine, printed_ends, [job]) == {}
