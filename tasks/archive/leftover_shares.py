"""Shares left open by what failed, was cancelled half-way, or has no stage that closes them.

Nobody has anything in hand with such an asset: its share only takes room in the archive.
Whoever does it again later has it opened, and filled, anew.
"""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from blocks.tier import Tier, TierError
from tasks.archive.configured import open_tier
from tasks.archive.metadata import ArchiveResult
from track.commands import shares
from track.commands.shares import Leftover
from track.schema.database import transact

MAX_SILENCES = 3
"""After so many closings in a row that could not be done now the rest is left for later."""


async def close_leftovers(engine: AsyncEngine, patience: timedelta) -> ArchiveResult:
    """Close the shares that nobody has used for so long, as long as the archive answers."""
    found = ArchiveResult()
    left = await transact(engine, shares.leftovers, patience)
    if not left:
        return found
    async with open_tier() as tier:
        silences = 0
        for each in left:
            try:
                if await _close(engine, tier, each, patience):
                    found.done.append(each.guid)
                silences = 0
            except TierError as error:
                found.refused.append(f"the share of {each.guid} stays open: {error}")
                silences += error.retry_after is not None
            if silences >= MAX_SILENCES:
                break
    return found


async def _close(engine: AsyncEngine, tier: Tier, each: Leftover, patience: timedelta) -> bool:
    """Close one while its asset is held, so that nobody takes it up meanwhile."""
    await transact(engine, shares.closing, each.guid)

    async def work(tx: AsyncConnection) -> bool:
        if not await shares.hold_leftover(tx, each.guid, patience):
            return False
        await tier.close(each.guid, discard=each.may_discard)
        await shares.note_discarded(tx, each.guid)
        await shares.closed(tx, each.guid)
        return True

    return await transact(engine, work)
