"""Telling ARS what it is owed: metadata that changed when nobody was at its asset any more.

What ARS refuses is tried again ever more rarely, up to once an hour; history says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars import ArsArchive
from blocks.ars_client import ArsClient, ArsError
from tasks.archive.metadata import push_pending
from track.commands.healing import ACTOR, REFUSED, unpushed_metadata
from track.schema.database import transact
from track.schema.history import record


@dataclass
class PushResult:
    """Whose metadata ARS holds now, and what it said where it does not."""

    pushed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


async def push_pending_metadata(engine: AsyncEngine, patience: timedelta) -> PushResult:
    """Push all that has been owed for so long. An archive that is away is left in peace."""
    guids = await transact(engine, lambda tx: unpushed_metadata(tx, patience))
    if not guids:
        return PushResult()
    archive: ArsArchive = await ArsArchive.aload("default")
    async with archive.client() as ars:
        return await _push_each(engine, ars, guids)


async def _push_each(engine: AsyncEngine, ars: ArsClient, guids: Sequence[str]) -> PushResult:
    told = PushResult()
    for guid in guids:
        try:
            if await push_pending(engine, ars, guid) is not None:
                told.pushed.append(guid)
        except ArsError as error:
            told.refused.append(f"the archive was not told of {guid}: {error}")
            await _note(engine, guid, str(error))
            if error.retry_after is not None:
                break
    return told


async def _note(engine: AsyncEngine, guid: str, why: str) -> None:
    await transact(
        engine, lambda tx: record(tx, actor=ACTOR, what=REFUSED, asset_guid=guid, why=why)
    )
