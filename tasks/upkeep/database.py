"""The refinery's database, for one run of housekeeping or of an operator."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.database import RefineryDatabase
from track.schema.database import make_engine


@asynccontextmanager
async def open_database() -> AsyncIterator[AsyncEngine]:
    """An engine for the database that the block names, closed at the end."""
    block: RefineryDatabase = await RefineryDatabase.aload("default")
    engine = make_engine(block.address(), pool=2, overflow=2)
    try:
        yield engine
    finally:
        await engine.dispose()
