"""One archive for all tests of a file; each test has an asset of its own."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from blocks.ars_client import ArsClient, LocalFile
from refinery.postgres import EmbeddedPostgres
from tests.support.archive import Archive, archive_in
from tests.support.archive_road import image


@pytest.fixture(scope="module")
def archive(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    with archive_in(postgres, tmp_path_factory.mktemp("ars")) as served:
        yield served


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
