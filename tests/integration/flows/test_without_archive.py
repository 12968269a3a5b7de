"""A pipeline that has nothing to do with an archive, while none answers."""

import asyncio
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.at_site import complete, start
from tests.support.callbacks import until
from tests.support.flow_world import run_session, undispatched
from tests.support.world import new

PIPELINE = {
    "pipeline": "P",
    "stages": [
        {"key": "classify", "run": "command", "command": ["classify", "{guid}"]},
        {"key": "match", "run": "command", "command": ["match", "{folder}"], "needs": "classify"},
    ],
}
QUEUED = """
    SELECT t.id, t.fence FROM track.attempt t
    JOIN track.job j ON j.attempt_id = t.id JOIN track.stage s ON s.id = j.stage_id
    WHERE j.state = 'queued' AND s.key = :stage
"""


async def test_it_is_carried_to_its_end_also_where_metadata_is_known(
    blocks: Path, engine: AsyncEngine
) -> None:
    """The archive was told of metadata that it was never to have, and waited for patiently."""
    world = await undispatched(engine, PIPELINE, new("g"))
    await world.describe("g")
    running = asyncio.create_task(run_session(world))
    try:
        for stage in ("classify", "match"):
            ((attempt, fence),) = await until(lambda at=stage: world.sql(QUEUED, stage=at), 40)
            await start(world, attempt, fence)
            await complete(world, attempt, fence, {"details": {"exit_code": 0}})
        await asyncio.wait_for(running, 40)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert {state.value for state in (await world.states("g")).values()} == {"done"}
