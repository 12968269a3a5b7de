"""What several tests of the board share."""

from collections.abc import AsyncIterator

import pytest_asyncio

from refinery.local.postgres import EmbeddedPostgres
from tests.support.browser import browser
from tests.support.databases import fresh_database
from tests.support.troubled import troubled_database

__all__ = ["browser", "troubled_database"]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def modules_database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """A database of a module's own for all its tests: what one adds the next one finds."""
    async with fresh_database(postgres, template) as url:
        yield url
