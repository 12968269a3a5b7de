"""A real Prefect server for all tests of flows, and the blocks that flows load from it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from prefect.blocks.core import Block
from prefect.testing.utilities import prefect_test_harness
from pydantic import SecretStr

from blocks.database import RefineryDatabase
from blocks.ndrive import NDrive
from blocks.store import LocalStore

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bear what Prefect leaves to the collector: sockets of a client per event loop."""
    for warning in ("ResourceWarning", "pytest.PytestUnraisableExceptionWarning"):
        borne = f"ignore:.*socket.socket:{warning}"
        config.addinivalue_line("filterwarnings", borne)  # for the collector's last round
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.filterwarnings(borne))


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """One server per pytest process, on a database of its own that is thrown away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DO_NOT_TRACK", "1")
        patch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
        with prefect_test_harness(server_startup_timeout=240):
            yield


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
    yield tmp_path
