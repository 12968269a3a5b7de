"""What our services are told, and what of the outside is kept from them."""

from importlib import import_module
from pathlib import Path

import pytest

from refinery.addresses import resolve
from refinery.local import environment
from refinery.settings import Settings

PORTS = {
    "prefect": 4201,
    "clusters": 8001,
    "workstations": 8101,
    "board": 8301,
    "ars": 8201,
    "postgres": 5433,
}
OWN = {"REFINERY_DATABASE_URL": "postgresql://museum:s3cret@db.example/refinery"}


def test_settings_of_prefect_and_postgresql_from_outside_are_left_out() -> None:
    given = {
        "PREFECT_API_KEY": "x",
        "PREFECT_API_URL": "https://elsewhere.example",
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PGHOST": "elsewhere.example",
        "LANG": "da_DK.UTF-8",
    }
    assert environment.inherited(given) == {
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "LANG": "da_DK.UTF-8",
    }


def test_a_killed_server_remembers_who_holds_a_deployments_place(tmp_path: Path) -> None:
    """Leases that it forgot were never ended: reconcile found no place, for ever."""
    settings = Settings.load(tmp_path, OWN)
    server = environment.of_server(settings, resolve(settings, PORTS))
    module = import_module(server["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"])
    leases = module.ConcurrencyLeaseStorage(storage_path=tmp_path)
    assert leases.storage_path == tmp_path


def test_only_the_server_gets_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://elsewhere.example")
    settings = Settings.load(tmp_path, OWN)
    addresses = resolve(settings, PORTS)
    common = environment.common(settings, addresses)
    assert common["PREFECT_API_URL"] == "http://127.0.0.1:4201/api"
    assert common["PREFECT_HOME"] == str(settings.state / "prefect")
    assert "s3cret" not in str(common)
    server = environment.of_server(settings, addresses)
    assert "s3cret" in server["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    assert server["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4201"


def test_loopback_is_never_proxied_and_the_proxy_for_the_outside_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "museum.example, localhost")
    monkeypatch.setenv("no_proxy", "")
    settings = Settings.load(tmp_path, OWN)
    seen = environment.common(settings, resolve(settings, PORTS))
    assert seen["HTTP_PROXY"] == "http://127.0.0.1:9"
    assert seen["NO_PROXY"] == seen["no_proxy"] == "museum.example,localhost,127.0.0.1,::1"


def test_prefect_asks_for_a_password_unless_it_is_told_not_to(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, OWN)
    addresses = resolve(settings, PORTS)
    name, _, password = addresses.prefect_login.partition(":")
    assert (name, len(password)) == ("refinery", 64)
    assert resolve(settings, PORTS).prefect_login == addresses.prefect_login, "it is drawn once"
    assert addresses.prefect_login not in repr(addresses)
    asked = environment.of_server(settings, addresses)["PREFECT_SERVER_API_AUTH_STRING"]
    assert asked == addresses.prefect_login
    assert environment.common(settings, addresses)["PREFECT_API_AUTH_STRING"] == asked
    open_to_all = Settings.load(tmp_path, OWN | {"REFINERY_PREFECT_LOGIN": "false"})
    server = environment.of_server(open_to_all, resolve(open_to_all, PORTS))
    assert "PREFECT_SERVER_API_AUTH_STRING" not in server


def test_a_password_of_the_museums_own_is_used(tmp_path: Path) -> None:
    given = OWN | {"REFINERY_PREFECT_PASSWORD": "æ: %"}
    assert resolve(Settings.load(tmp_path, given), PORTS).prefect_login == "refinery:æ: %"
