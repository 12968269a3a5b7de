"""The server that the page sends to, and a browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from refinery.local.postgres import EmbeddedPostgres
from tests.support.browser import browser
from tests.support.databases import fresh_database
from tests.support.workstations import Station, station_config, uploading

__all__ = ["browser"]


@pytest_asyncio.fixture(loop_scope="session")
async def station(
    postgres: EmbeddedPostgres, template: str, tmp_path: Path
) -> AsyncIterator[Station]:
    """The upload API, in the loop of the browser."""
    async with (
        fresh_database(postgres, template) as url,
        uploading(station_config(url, tmp_path)) as made,
    ):
        yield made
