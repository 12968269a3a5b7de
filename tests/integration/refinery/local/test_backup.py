"""What was saved comes back, on a real cluster."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from refinery.local import backup
from refinery.local.backup import BackupError
from refinery.settings import Settings
from tests.support.clusters import temporary_folder


@pytest.fixture
def settings() -> Iterator[Settings]:
    with temporary_folder() as folder:
        home = folder / "pg"
        yield Settings.load(folder, {"REFINERY_POSTGRES_HOME": str(home)})


def say(settings: Settings, statement: str) -> object:
    with backup.cluster(settings) as postgres:
        postgres.ensure_database("refinery")
        postgres.ensure_database("prefect")
        postgres.ensure_database("ars")
        address = postgres.url("refinery", "postgresql")
        with psycopg.connect(address, autocommit=True) as connection:
            cursor = connection.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return row[0] if row else None


def test_a_saved_database_comes_back_as_it_was(settings: Settings) -> None:
    settings.state.mkdir()
    say(settings, "CREATE TABLE t AS SELECT 'æøå' AS n")
    settings.users_file.write_text("# nobody yet\n")
    saved = backup.save(settings)
    settings.users_file.unlink()
    assert saved.stat().st_mode & 0o777 == 0o700
    say(settings, "DROP TABLE t")
    backup.restore(settings, saved)
    assert say(settings, "SELECT n FROM t") == "æøå"
    assert settings.users_file.read_text() == "# nobody yet\n"


def test_a_folder_without_dumps_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match=r"refinery\.dump is not in it"):
        backup.restore(settings, tmp_path)
