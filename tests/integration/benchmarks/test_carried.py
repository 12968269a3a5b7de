"""A session's moves as a benchmark reads them from the tables."""

from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.benchmarks.carried import handovers, read_steps, span_s
from tests.support.at_site import complete, queue, start
from tests.support.world import World, new
from track.jobs.at_site import take_back_all
from track.jobs.claims import Claim
from track.schema.database import transact

PIPELINE: dict[str, Any] = {
    "pipeline": "P",
    "stages": [
        {"key": "ingest", "run": "refinery.ingest"},
        {"key": "ocr", "run": "module ocr", "needs": "ingest"},
        {"key": "crop", "run": "module crop", "needs": "ocr"},
    ],
}


async def at_its_site(world: World, found: Claim) -> None:
    """Do one claimed module's job and finish it."""
    attempt = await queue(world, found, "here")
    await start(world, attempt)
    await complete(world, attempt)
    await transact(world.engine, take_back_all, [found.job_id], world.dispatcher_id)
    await world.finish(found)


async def test_every_move_is_read_and_jobs_at_a_site_are_told_from_others(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(new("a"), new("b"))
    await world.describe("a", "b")
    while claims := await world.claim():
        for found in claims:
            await (world.finish(found) if found.stage == "ingest" else at_its_site(world, found))
    steps = await read_steps(engine, world.session_id, jobs=6)
    assert [step.guid for step in steps] == sorted(step.guid for step in steps)
    mine = [step.new for step in steps if step.guid == "a" and step.at_site]
    assert mine.count("queued") == mine.count("returned") == mine.count("done") == 2
    assert len({step.job for step in steps if not step.at_site}) == 2
    waited = handovers(steps)
    assert len(waited) == 2
    assert all(0 <= seconds <= span_s(steps) for seconds in waited)


async def test_a_session_that_is_not_done_is_refused_with_what_stands_where(
    engine: AsyncEngine,
) -> None:
    world = await World.make(engine, PIPELINE)
    await world.register(new("a"))
    await world.finish_all("ingest")
    with pytest.raises(RuntimeError, match=r"1 of 3 jobs are done, 1 times: .*1 are waiting"):
        await read_steps(engine, world.session_id, jobs=3)
