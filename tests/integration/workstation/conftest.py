"""A workstation with a folder of three specimens, and the upload API that it sends to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.workstations.app import WorkstationApi, create_app
from tests.support.camera import camera_session
from tests.support.clients import Client
from tests.support.serving import free_port, served
from tests.support.workstations import station_config


@pytest.fixture
def config(database: str, tmp_path: Path) -> WorkstationApi:
    """How the API is set up."""
    return station_config(database, tmp_path)


@pytest.fixture
def drive(config: WorkstationApi) -> Path:
    """The N-Drive."""
    return config.n_drive


@pytest.fixture
def client(config: WorkstationApi, tmp_path: Path) -> Iterator[Client]:
    """The client, while the API is served."""
    with served(create_app(config), free_port()) as url:
        made = Client(tmp_path / "workstation", url)
        camera_session(made.folder, 3)
        yield made
