"""A session as a dispatch flow finds it: specimens registered, and nobody at them yet."""

from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars import ArsArchive
from tests.support.world import World
from track.commands.assets import NewAsset
from track.records.sessions import mark_registered
from track.schema.database import transact


async def undispatched(
    engine: AsyncEngine,
    pipeline: dict[str, Any],
    *assets: NewAsset,
    archive: ArsArchive | None = None,
) -> World:
    """Such a session, and the archive's block; unless given, nobody answers at its address."""
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
