"""What every test may ask for: a real PostgreSQL, a fresh database in it, an engine on that."""

import gc
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.local.postgres import EmbeddedPostgres
from tests.support.clusters import temporary_cluster
from tests.support.databases import fresh_database
from tests.support.memory import use_memory
from track.schema.database import make_engine
from track.schema.migrations import upgrade

pytest_plugins = ["tests.support.workers"]

TEMPLATE = "refinery_template"

use_memory()

# Python's collector would look through the half a million objects that Prefect keeps again and
# again: it took a seventh of the tests' own computing.
gc.set_threshold(30_000, 20, 20)

# A loaded machine draws slowly, and a fixture that is made once for all examples is meant so.
settings.register_profile(
    "patient",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One cluster per pytest process: tests on several workers never share one."""
    with temporary_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres) -> str:
    """A database with today's tables, to be cloned: migrating takes longer than copying."""
    postgres.ensure_database(TEMPLATE)
    upgrade(postgres.url(TEMPLATE))
    return TEMPLATE


@pytest.fixture
async def database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[str]:
    """The SQLAlchemy URL of a fresh database with today's tables, dropped after the test."""
    async with fresh_database(postgres, template) as url:
        yield url


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    """An async engine on the test's own database."""
    made = make_engine(database)
    yield made
    await made.dispose()
