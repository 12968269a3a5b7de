"""The clusters' application on a real database, with a small Prefect that takes events."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.callbacks import Cluster, cluster_config
from tests.support.events_server import EventsServer


@pytest.fixture(autouse=True)
def _soon_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """An announcer that is told to stop looks up at once: each test waits for one."""
    monkeypatch.setattr("refinery.announce.announcer.LOOK_S", 0.05)


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
