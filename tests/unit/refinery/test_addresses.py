"""Which ports are taken, and which addresses follow from them and the settings."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from refinery.addresses import (
    SERVER_PORTS,
    choose_ports,
    of_running,
    resolve,
    sibling_database_url,
    unused_port,
)
from refinery.settings import Settings
from refinery.state import NotRunning
from tests.support.serving import free_port

PORTS = {
    "prefect": 4200,
    "clusters": 8000,
    "workstations": 8100,
    "ars": 8200,
    "board": 8300,
    "postgres": 5433,
}


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def settings(folder: Path, **environment: object) -> Settings:
    return Settings.load(folder, {name: str(value) for name, value in environment.items()})


def test_a_wanted_port_that_is_free_is_taken(tmp_path: Path) -> None:
    wanted = free_port()
    assert choose_ports(settings(tmp_path, REFINERY_PREFECT_PORT=wanted), {})["prefect"] == wanted


def test_a_busy_port_is_replaced_and_the_replacement_kept(tmp_path: Path, busy: int) -> None:
    wished = settings(tmp_path, REFINERY_PREFECT_PORT=busy)
    first = choose_ports(wished, {})
    assert first["prefect"] not in (0, busy)
    assert choose_ports(wished, first)["prefect"] == first["prefect"]


def test_what_an_earlier_release_started_is_named_as_such(tmp_path: Path) -> None:
    fewer = {name: port for name, port in PORTS.items() if name != "board"}
    with pytest.raises(NotRunning, match=r"earlier release: 'refinery stop', then 'refinery up'"):
        resolve(settings(tmp_path), fewer)


def test_no_two_servers_get_one_port(tmp_path: Path) -> None:
    one = free_port()
    ports = choose_ports(
        settings(tmp_path, REFINERY_PREFECT_PORT=one, REFINERY_CLUSTERS_PORT=one), {}
    )
    assert len(set(ports.values())) == len(PORTS)


def test_a_port_that_we_choose_is_none_of_those_that_outgoing_connections_get(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One was taken between its choice and the start of its server."""
    assert all(unused_port("127.0.0.1") in SERVER_PORTS for _ in range(50))
    lowest = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if lowest.exists():
        assert SERVER_PORTS.stop <= int(lowest.read_text().split()[0])
    few = range(SERVER_PORTS.start, SERVER_PORTS.start + 100)
    monkeypatch.setattr("refinery.addresses.SERVER_PORTS", few)
    assert unused_port("127.0.0.1", besides=few) not in few


def test_a_second_project_claims_none_of_the_usual_ports(tmp_path: Path) -> None:
    second = settings(tmp_path, REFINERY_PROJECT="trial")
    assert (second.prefect_port, second.clusters_port, second.ars_port) == (0, 0, 0)


def test_own_databases_are_on_the_server_of_the_one_that_is_set(tmp_path: Path) -> None:
    own = "postgresql://museum:s3cret@db.example:5432/refinery?sslmode=require"
    addresses = resolve(settings(tmp_path, REFINERY_DATABASE_URL=own), PORTS)
    assert addresses.database == own.replace("postgresql:", "postgresql+psycopg:")
    assert addresses.prefect_database == (
        "postgresql+asyncpg://museum:s3cret@db.example:5432/prefect?sslmode=require"
    )
    assert "s3cret" not in repr(addresses)


def test_a_configured_archive_takes_the_place_of_the_stand_in(tmp_path: Path) -> None:
    own = {
        "REFINERY_DATABASE_URL": "postgresql://db.example/refinery",
        "REFINERY_ARS_BASE_URL": "https://ars.example",
    }
    assert resolve(settings(tmp_path, **own), PORTS).ars == "https://ars.example"
    assert resolve(settings(tmp_path, **own), PORTS).clusters == "http://127.0.0.1:8000"


def test_another_database_of_the_same_server_keeps_its_options() -> None:
    url = sibling_database_url("postgresql://a@h/x?host=/run/pg", "y", "postgresql+psycopg")
    assert url == "postgresql+psycopg://a@h/y?host=/run/pg"


def test_the_error_when_nothing_runs_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="refinery up"):
        of_running(settings(tmp_path))
