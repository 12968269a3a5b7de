"""Bringing a database to today's tables: alembic, driven from code.

`upgrade` is idempotent and takes an advisory lock, so that two services that
start together do not migrate twice. All that is missing is one transaction: killed at any
moment, the database is as it was.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from track.schema.lasting import SETTINGS

HERE = Path(__file__).parent
LOCK = 0x5EC1_4E17


class DatabaseIsNewer(RuntimeError):
    """A database has tables of a later release than this one; the message says what to do."""


def config(url: str) -> Config:
    """Alembic's configuration for the database at `url` (a `postgresql+psycopg` URL)."""
    settings = Config()
    settings.set_main_option("script_location", str(HERE))
    settings.attributes["url"] = url
    return settings


def upgrade(url: str) -> None:
    """Migrate the database at `url` to the newest revision; harmless when it is there.

    Raises DatabaseIsNewer, and nothing was changed.
    """
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(text(SETTINGS))  # a migration takes as long as it takes
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
            settings = config(url)
            _refuse_newer(connection, settings)
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
            connection.commit()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
            connection.commit()
    finally:
        engine.dispose()


def refuse_newer(url: str) -> None:
    """Raise DatabaseIsNewer when a later release than this one has migrated the database."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            _refuse_newer(connection, config(url))
    finally:
        engine.dispose()


def _refuse_newer(connection: Connection, settings: Config) -> None:
    script = ScriptDirectory.from_config(settings)
    known = {each.revision for each in script.walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        raise DatabaseIsNewer(
            f"The database has the tables of a later release: they are at revision {min(unknown)}, "
            f"and this release knows those up to {script.get_current_head()}. Nothing was changed. "
            "Start that release again; or, to go back to this one, restore the backup that was "
            "made before the upgrade: 'refinery restore FOLDER'."
        )
