"""What tests of ingest and of folders may ask for: a museum."""

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.museum import Museum, museum_at


@pytest.fixture
async def museum(engine: AsyncEngine, tmp_path: Path) -> Museum:
    """A session's folder on a drive, and a dispatcher that is at it."""
    return await museum_at(engine, tmp_path)
