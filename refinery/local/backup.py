"""Saves the embedded databases to a folder and restores them.

A backup is one `pg_dump` per database, taken while the system runs, the secrets of the state folder
without which the restored tokens would not be ours, and who may log in to the board. Files
(N-Drive, store, archive) are not in it.
"""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from refinery import connections, state
from refinery.addresses import DATABASES
from refinery.local.postgres import EmbeddedPostgres
from refinery.local.stack import embedded, lock
from refinery.settings import Settings, SettingsError
from tasks.intake.unknown_folders import unknown_folders
from track.schema.database import transact

SECRETS = ("token-key", "ars-secret", "prefect-password", "board-key")

USERS = "users.toml"

MARGIN_S = 3600.0
"""How far the N-Drive's clock may be behind ours."""


class BackupError(RuntimeError):
    """A database could not be saved or restored; the message is PostgreSQL's own."""


def save(settings: Settings, into: Path | None = None) -> Path:
    """Save the three databases; the new folder, closed to others.

    The refinery's own database is saved last, so that it is not older than Prefect's copy.
    """
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    folder = into or settings.state / "backups" / stamp
    folder.mkdir(parents=True, mode=0o700)
    with cluster(settings) as postgres:
        for name in reversed(DATABASES):
            dump = folder / f"{name}.dump"
            arguments = ["--format=custom", "--file", str(dump)]
            call(postgres.client("pg_dump", name, *arguments), f"saving {name}")
    for name, kept in beside(settings).items():
        if kept.is_file():
            shutil.copy2(kept, folder / name)
    return folder


def restore(settings: Settings, folder: Path) -> None:
    """Replace the three databases by those saved in `folder`. Raises BackupError.

    The system must be stopped; what the databases held is lost.
    """
    missing = [name for name in DATABASES if not (folder / f"{name}.dump").is_file()]
    if missing:
        raise BackupError(f"{folder} is no backup: {missing[0]}.dump is not in it.")
    with lock(settings), cluster(settings) as postgres:
        for name in DATABASES:
            make_anew(postgres, name)
            arguments = ["--no-owner", "--exit-on-error", str(folder / f"{name}.dump")]
            call(postgres.client("pg_restore", name, *arguments), f"restoring {name}")
    for name, kept in beside(settings).items():
        if (folder / name).is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(folder / name, kept)
    (settings.state / "run" / "deployed").unlink(missing_ok=True)


def beside(settings: Settings) -> dict[str, Path]:
    """The files that are saved with the databases, by their names in a backup."""
    return {name: settings.state / "run" / name for name in SECRETS} | {USERS: settings.users_file}


def forgotten_folders(settings: Settings, folder: Path) -> list[Path]:
    """Folders on the N-Drive that were closed after a backup, which is in place again, and of
    which it knows nothing. Raises OSError, or a FileError, where the drive cannot be read.
    """

    async def look(url: str) -> list[Path]:
        async with connections.database(url, pool=1) as engine:
            return await transact(engine, unknown_folders, connections.n_drive(settings), since)

    since = (folder / f"{DATABASES[0]}.dump").stat().st_mtime - MARGIN_S
    with lock(settings), cluster(settings) as postgres:
        return asyncio.run(look(postgres.url("refinery")))


@contextmanager
def cluster(settings: Settings) -> Iterator[EmbeddedPostgres]:
    """The embedded server: the running one, or started for this block alone."""
    if not settings.embedded_database:
        raise SettingsError("database_url is set: save that database with your own pg_dump.")
    now = state.read(settings)
    postgres = embedded(settings, now.ports.get("postgres", 0))
    if now.running():
        yield postgres
        return
    postgres.start()
    try:
        yield postgres
    finally:
        postgres.stop()


def make_anew(postgres: EmbeddedPostgres, name: str) -> None:
    """An empty database in the place of the old one."""
    address = postgres.url("postgres", "postgresql")
    with psycopg.connect(address, autocommit=True) as connection:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        connection.execute(drop.format(sql.Identifier(name)))
    postgres.ensure_database(name)


def call(argv: list[str], what: str) -> None:
    """Run one of PostgreSQL's programs. Raises BackupError with its error output."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BackupError(f"{what}: {done.stderr.strip()[-1000:]}")
