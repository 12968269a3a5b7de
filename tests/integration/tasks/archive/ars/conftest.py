"""One archive for all tests of a file; each test has an asset of its own."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from blocks.ars_client import ArsClient
from blocks.tier import LocalFile
from tests.support.archive import Archive
from tests.support.archive_road import image


@pytest.fixture(autouse=True)
def soon_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive of one machine shows its effects at once."""
    monkeypatch.setattr("tasks.archive.ars.unconfirmed.LOOKS", (0.0, 0.05, 0.1))
    monkeypatch.setattr("tasks.archive.ars.upload.AGAIN", (0.05, 0.1))


@pytest.fixture
async def ars(archive: Archive) -> AsyncIterator[ArsClient]:
    async with ArsClient(archive.address) as client:
        yield client
    archive.heal()


@pytest.fixture
def guid() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def files(tmp_path: Path) -> list[LocalFile]:
    return [image(tmp_path, "Ærø fjord 1.tif"), image(tmp_path, "raw.cr3", 500_000)]
