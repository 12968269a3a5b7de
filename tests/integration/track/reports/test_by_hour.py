"""What is kept by the hour is what a count of everything gives, folded or not."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import HERE, World, new
from track.commands.site_health import degrade, recover
from track.jobs import verbs
from track.jobs.attempts import close_attempt
from track.jobs.endings import note_ends
from track.reports.by_hour import Arrivals, Measured, arrivals, usage
from track.reports.days import Span
from track.reports.figures import fold_totals
from track.schema.database import transact
from track.schema.hours import FIRST_HOURS

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "load", "run": "module load"},
        {"key": "crop", "run": "module crop", "needs": "load", "emits": "D"},
    ],
}
DERIVED: dict[str, object] = {
    "pipeline": "D",
    "stages": [{"key": "keep", "run": "refinery.create"}],
}
NOW = datetime.now(UTC)
LATELY = Span(NOW - timedelta(hours=2), NOW + timedelta(hours=2))
ROWS = "SELECT (SELECT count(*) FROM track.asset_hour), (SELECT count(*) FROM track.usage_hour)"


async def came(engine: AsyncEngine) -> Arrivals:
    return sum((await transact(engine, arrivals, LATELY)).values(), Arrivals())


async def at_work(engine: AsyncEngine) -> World:
    """Four images and two derivatives; one of each is archived, three attempts told their usage."""
    world = await World.make(engine, PIPELINE, DERIVED)
    await world.register(*(new(f"g{n}") for n in range(4)))
    await world.register(*(new(f"d{n}", "D", parent_guid="g0") for n in range(2)))
    await transact(engine, note_ends, ["g0", "d0"])
    claims = [each for each in await world.claim() if each.stage == "load"]
    for seconds, found in enumerate(claims[:3], 1):
        attempt = await world.enqueue(found.job_id, HERE.name)
        started = "UPDATE track.attempt SET started_at = queued_at + interval '7 s' WHERE id = :a"
        if seconds < 3:
            await world.sql(started, a=attempt)
        usage: dict[str, Any] = {"seconds": seconds, "cpu_s": 2 * seconds, "max_rss_mb": 100}
        await transact(engine, close_attempt, attempt, "done", **usage)
        await transact(engine, close_attempt, attempt, "failed", seconds=50)
    return world


async def test_what_came_and_what_ended_is_counted_whoever_folds_meanwhile(
    engine: AsyncEngine,
) -> None:
    world = await at_work(engine)
    truth = Arrivals(sessions=1, images=4, derivatives=2, archived=1, archived_derivatives=1)
    assert await came(engine) == truth
    await asyncio.gather(*(transact(engine, fold_totals) for _ in range(4)))
    assert await came(engine) == truth
    await transact(engine, note_ends, ["g1", "d1"])
    await transact(engine, fold_totals)
    assert (await came(engine)).archived == 2
    assert (await world.sql(ROWS))[0] <= (2, 2), "an hour may have begun meanwhile"


async def test_an_image_that_is_opened_again_after_its_end_counts_once(
    engine: AsyncEngine,
) -> None:
    world = await at_work(engine)
    await transact(engine, verbs.reopen, [await world.job_id("g0", "load")])
    await transact(engine, note_ends, ["g0"])
    assert (await came(engine)).archived == 1


async def test_of_what_stages_took_the_mean_the_least_and_the_most_are_known(
    engine: AsyncEngine,
) -> None:
    await at_work(engine)
    for _ in range(2):
        (load,) = await transact(engine, usage, LATELY)
        assert (load.pipeline, load.stage) == ("P", "load")
        assert load.seconds == Measured(3, 2.0, 1.0, 3.0)
        assert load.cpu_s == Measured(3, 4.0, 2.0, 6.0)
        assert load.mb == Measured(3, 100.0, 100.0, 100.0)
        assert load.wait_s == Measured(2, 7.0, 7.0, 7.0), "one never said that it started"
        await transact(engine, fold_totals)
    assert await transact(engine, usage, LATELY, "D") == []


async def test_what_was_there_before_is_counted_once(engine: AsyncEngine) -> None:
    world = await at_work(engine)
    before = (await came(engine), await transact(engine, usage, LATELY))
    for table in ("asset_hour", "usage_hour"):
        await world.sql(f"DELETE FROM track.{table}")
    for statement in FIRST_HOURS:
        await world.sql(statement)
    assert (await came(engine), await transact(engine, usage, LATELY)) == before


async def test_a_site_says_since_when_it_is_degraded(engine: AsyncEngine) -> None:
    world = await World.make(engine, PIPELINE)
    since = "SELECT degraded_at FROM track.site"
    assert await world.sql(since) == [(None,)]
    await transact(engine, degrade, HERE.name, "it is full")
    first = await world.sql(since)
    await transact(engine, degrade, HERE.name, "it is away", renew=True)
    assert first != [(None,)] and await world.sql(since) == first
    await transact(engine, recover, HERE.name)
    assert await world.sql(since) == [(None,)]
