"""What all integration tests may ask for: an archive, a small Prefect, the clusters' API."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.local.postgres import EmbeddedPostgres
from tests.support.archive import Archive, archive_in
from tests.support.callbacks import Cluster, cluster_config
from tests.support.events_server import EventsServer


@pytest.fixture(scope="module")
def archive(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    """One for all tests of a file; each test is to have assets of its own."""
    with archive_in(postgres, tmp_path_factory.mktemp("ars")) as served:
        yield served


@pytest.fixture(autouse=True)
def _soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """An announcer that is told to stop looks up at once: each test waits for one."""
    monkeypatch.setattr("refinery.announcer.POLL_S", 0.05)


@pytest.fixture
async def prefect() -> AsyncIterator[EventsServer]:
    """A server that takes events as Prefect does."""
    async with EventsServer.serve() as server:
        yield server


@pytest.fixture
async def cluster(
    engine: AsyncEngine, database: str, prefect: EventsServer, tmp_path: Path
) -> AsyncIterator[Cluster]:
    """The application, a world behind it and a client in a listed network."""
    config = cluster_config(database, prefect.url, tmp_path)
    async with Cluster.open(engine, config) as made:
        yield made
