"""One stand-in for all contract tests; each test works on assets of its own."""

from collections.abc import Iterator

import pytest

from refinery.local.postgres import EmbeddedPostgres
from tests.integration.demo.ars.stand_in import Archive, configure, enrol, serving


@pytest.fixture(scope="session")
def running(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    postgres.ensure_database("ars_contract")
    config, port = configure(tmp_path_factory.mktemp("ars"), postgres.url("ars_contract"))
    with serving(config, port) as archive:
        enrol(archive)
        yield archive


@pytest.fixture
def archive(running: Archive) -> Iterator[Archive]:
    """The stand-in with no faults, no guid locks, all its disk, and no share of another test."""
    yield running
    running.sim("DELETE", "/faults")
    running.sim("POST", "/locks/forget")
    running.sim("POST", "/disk", json={"disk_mb": running.config.disk_mb})
