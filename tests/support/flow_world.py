"""A session as a dispatch flow finds it, and carried by the real flow while a test stands for
its clusters."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars import ArsArchive
from blocks.ars_client import ArsClient
from flows.dispatch import dispatch
from schemas.pace import Pace
from tests.support.archive import Archive
from tests.support.at_site import complete, start
from tests.support.callbacks import until
from tests.support.world import World
from track.commands.assets import NewAsset
from track.records.sessions import mark_registered
from track.schema.database import transact

PACE = Pace(tick_s=0.1, recheck_s=0.1, linger_s=600)
MAX_SECONDS = 120


async def undispatched(
    engine: AsyncEngine,
    pipeline: dict[str, Any],
    *assets: NewAsset,
    archive: ArsArchive | None = None,
) -> World:
    """Specimens registered and nobody at them yet, and the archive's block: unless given, nobody
    answers at its address."""
    nobody = ArsArchive(
        base_url="http://127.0.0.1:9", client_id="c", client_secret=SecretStr("nobody asks for it")
    )
    await (archive or nobody).save("default", overwrite=True)
    made = await World.make(engine, pipeline)
    await made.sql("DELETE FROM track.dispatcher")
    await made.register(*assets)
    await transact(engine, mark_registered, made.session_id)
    await made.sql("UPDATE track.session SET wake_requested_at = NULL")
    return made


async def run_session(world: World) -> None:
    """Carry the session until nothing of it moves by itself."""
    async with asyncio.timeout(MAX_SECONDS):
        assert (await dispatch(world.session_id, PACE, return_state=True)).name == "Finished"


async def share_at_the_cluster(world: World, archive: Archive, guid: str) -> int | None:
    """Carry the asset to its end; the size of its share while a cluster has it."""
    running = asyncio.create_task(run_session(world))
    try:
        return await at_the_cluster(world, lambda: share(archive, guid))
    finally:
        await running


async def at_the_cluster(
    world: World, look: Callable[[], Awaitable[int | None]] | None = None
) -> int | None:
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
