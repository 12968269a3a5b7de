"""A real Prefect server for all tests of flows, and the blocks that flows load from it."""

import queue
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import prefect.settings
import pytest
from prefect.blocks.core import Block
from prefect.events.worker import EventsWorker
from prefect.settings import PREFECT_SERVER_DATABASE_CONNECTION_URL
from prefect.testing.utilities import prefect_test_harness
from pydantic import SecretStr

from blocks.ars import ArsArchive
from blocks.database import RefineryDatabase
from blocks.ndrive import NDrive
from blocks.store import LocalStore
from refinery.local.postgres import EmbeddedPostgres

HERE = Path(__file__).parent
EVENTS_S = 10.0
"""By then a server that is there has taken what was left for it."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bear what Prefect leaves to the collector: sockets of a client per event loop."""
    for warning in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
        borne = f"ignore:.*socket.socket:{warning}"
        config.addinivalue_line("filterwarnings", borne)  # for the collector's last round
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.filterwarnings(borne))


@pytest.fixture(scope="session")
def prefect_server(postgres: EmbeddedPostgres) -> Iterator[None]:
    """One server per pytest process, on a database of its own in the tests' cluster."""
    postgres.ensure_database("prefect")
    url = postgres.url("prefect", "postgresql+asyncpg")
    real = prefect.settings.temporary_settings

    def on_postgres(updates: dict[Any, Any], **others: Any) -> Any:
        if PREFECT_SERVER_DATABASE_CONNECTION_URL in updates:
            updates = updates | {PREFECT_SERVER_DATABASE_CONNECTION_URL: url}
        return real(updates=updates, **others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DO_NOT_TRACK", "1")
        patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        # Prefect's harness knows SQLite only, which refuses what writers at once: a run that
        # was to be made then waited two seconds and more.
        patch.setattr("prefect.settings.temporary_settings", on_postgres)
        with prefect_test_harness(server_startup_timeout=240):
            yield
            forget_events()


def forget_events() -> None:
    """Let go of what Prefect's client still has for servers that a test had, and that are gone.

    Its harness waits for each event, and each takes more than a minute to fail.
    """
    deadline = time.monotonic() + EVENTS_S
    for worker in tuple(EventsWorker._instances.values()):
        while not worker._queue.empty() and time.monotonic() < deadline:
            time.sleep(0.1)
        with suppress(queue.Empty):
            while True:
                worker._queue.get_nowait()


@pytest.fixture
async def blocks(prefect_server: None, database: str, tmp_path: Path) -> AsyncIterator[Path]:
    """The blocks named "default" for one test: its database, and a drive and a store below
    the folder that this returns, as `drive` and `store`."""
    for name in ("drive", "store"):
        (tmp_path / name).mkdir()
    saved: list[Block] = [
        RefineryDatabase(url=SecretStr(database)),
        NDrive(root=tmp_path / "drive", workstations=["*"]),
        LocalStore(root=tmp_path / "store"),
    ]
    for block in saved:
        await block.save("default", overwrite=True)
    with suppress(ValueError):  # what an earlier test's archive was is none of this one's
        await ArsArchive.adelete("default")
    yield tmp_path
