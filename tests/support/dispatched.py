"""A session run by a real dispatch flow while a test stands for its clusters."""

import asyncio
from collections.abc import Awaitable, Callable

from blocks.ars_client import ArsClient
from flows.dispatch import dispatch
from schemas.pace import Pace
from tests.support.archive import Archive
from tests.support.at_site import complete, start
from tests.support.callbacks import until
from tests.support.world import World

PACE = Pace(tick_s=0.1, recheck_s=0.1, linger_s=600)
PATIENCE_S = 120
Look = Callable[[], Awaitable[int | None]]


async def run_session(world: World) -> None:
    """Carry the session until nothing of it moves by itself."""
    async with asyncio.timeout(PATIENCE_S):
        assert (await dispatch(world.session_id, PACE, return_state=True)).name == "Finished"


async def share_at_the_cluster(world: World, archive: Archive, guid: str) -> int | None:
    """Carry the asset to its end; the size of its share while a cluster has it."""
    running = asyncio.create_task(run_session(world))
    try:
        return await at_the_cluster(world, lambda: share(archive, guid))
    finally:
        await running


async def at_the_cluster(world: World, look: Look | None = None) -> int | None:
    """Do the one job that is queued; what a look finds before."""
    queued = "SELECT t.id, t.fence FROM track.attempt t JOIN track.job j ON j.attempt_id = t.id"
    ((attempt, fence),) = await until(lambda: world.sql(f"{queued} WHERE j.state = 'queued'"))
    seen = await look() if look else None
    await start(world, attempt, fence)
    await complete(world, attempt, fence)
    return seen


async def share(archive: Archive, guid: str) -> int | None:
    async with ArsClient(archive.address) as ars:
        status = await ars.assets.status(guid)
    assert status is not None
    return status.share_allocation_mb
