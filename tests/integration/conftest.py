"""What all integration tests may ask for: an archive."""

from collections.abc import Iterator

import pytest

from refinery.local.postgres import EmbeddedPostgres
from tests.support.archive import Archive, archive_in


@pytest.fixture(scope="module")
def archive(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    """One for all tests of a file; each test is to have assets of its own."""
    with archive_in(postgres, tmp_path_factory.mktemp("ars")) as served:
        yield served
