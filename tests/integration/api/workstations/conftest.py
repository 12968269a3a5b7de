"""A workstation, and the API that it sends to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.workstations.app import WorkstationApi
from tests.support.workstations import Station, station_config, uploading


@pytest.fixture
def config(engine: AsyncEngine, database: str, tmp_path: Path) -> WorkstationApi:
    """How the application is set up, on a database that is there."""
    return station_config(database, tmp_path)


@pytest.fixture
async def station(config: WorkstationApi) -> AsyncIterator[Station]:
    """A workstation that is logged in."""
    async with uploading(config) as made:
        yield made
