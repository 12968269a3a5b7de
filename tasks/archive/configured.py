"""Which tier is set up: the one place outside its own folder that knows it by name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from blocks.ars import ArsArchive
from blocks.tier import Guard, NoTier, Tier
from tasks.archive.ars.tier import ArsTier


@asynccontextmanager
async def open_tier(guard: Guard | None = None) -> AsyncIterator[Tier]:
    """The tier, for one event loop; nothing is asked of it yet. Raises NoTier."""
    try:
        block: ArsArchive = await ArsArchive.aload("default")
    except ValueError as error:
        raise NoTier(str(error)) from error
    async with block.client(guard=guard) as client:
        yield ArsTier(client)
