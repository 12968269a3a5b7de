"""Pushing metadata to the archive: whoever sees that it lacks a revision pushes it.

One push per asset at a time, held by an advisory lock; the revision that was pushed is
noted, so a change that came meanwhile is pushed again.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.tier import Tier, TierError
from tasks.archive.configured import open_tier
from tasks.dispatch.dispatcher import Dispatcher, this_dispatcher
from tasks.dispatch.held_job import HeldJob
from track.commands.healing import ACTOR, REFUSED, unpushed_metadata
from track.records.documents import mark_pushed, unpushed
from track.records.mos import unpushed_relatives
from track.schema.database import transact
from track.schema.history import record
from track.schema.lasting import hold_alone

MAX_PAUSE_S = 60.0

log = logging.getLogger(__name__)


@dataclass
class ArchiveResult:
    """Guids of which it is done in the archive, and a text on each of which it could not be."""

    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


async def push_pending(engine: AsyncEngine, tier: Tier, guid: str) -> int | None:
    """Push what it lacks of an asset's metadata; the revision pushed, None if it lacked none.

    Raises TierError.
    """
    if await transact(engine, unpushed, guid) is None:
        return None
    pushed = None
    # A push holds one connection and needs another: many at once would wait for each other.
    async with tier.describing, engine.begin() as held:
        await hold_alone(held, f"push:{guid}")
        while (pending := await transact(engine, unpushed, guid)) is not None:
            pushed = pending.revision
            await tier.describe(pending.metadata, pending.last_pushed)
            await transact(engine, mark_pushed, guid, pushed)
    return pushed


async def push_changed(job: HeldJob) -> None:
    """Push what a stage changed, of its asset and of others.

    A label gets the codes of its specimens, derivatives those of their sheet, and their own
    roads may be over by then. Waits for as long as the archive is only busy or silent: what
    came back from a cluster is finished, and must not be done again because it is away. Raises
    TierRefused when a person has to act; for another asset that is not this one's fault, and
    its metadata stays unpushed.
    """
    dispatcher, guid = this_dispatcher(), job.claim.guid
    await _push_patiently(dispatcher, guid)
    for other in await transact(dispatcher.engine, unpushed_relatives, guid):
        try:
            await _push_patiently(dispatcher, other)
        except TierError as error:
            log.warning("the archive lacks its metadata: %s", error, extra={"guid": other})


async def _push_patiently(dispatcher: Dispatcher, guid: str) -> None:
    while True:
        try:
            await push_pending(dispatcher.engine, dispatcher.tier, guid)
            return
        except TierError as error:
            if error.retry_after is None:
                raise
            log.info("its metadata waits for the archive: %s", error, extra={"guid": guid})
            await asyncio.sleep(min(error.retry_after, MAX_PAUSE_S))


async def push_pending_metadata(engine: AsyncEngine, patience: timedelta) -> ArchiveResult:
    """Push all that was unpushed for so long: it changed when nobody was at its asset any more.

    What is refused is tried again ever more rarely, up to once an hour; history says why. An
    archive that is away is left in peace.
    """
    found = ArchiveResult()
    guids = await transact(engine, unpushed_metadata, patience)
    if not guids:
        return found
    async with open_tier() as tier:
        for guid in guids:
            try:
                if await push_pending(engine, tier, guid) is not None:
                    found.done.append(guid)
            except TierError as error:
                found.refused.append(f"the archive was not told of {guid}: {error}")
                await transact(
                    engine, record, actor=ACTOR, what=REFUSED, asset_guid=guid, why=str(error)
                )
                if error.retry_after is not None:
                    break
    return found
