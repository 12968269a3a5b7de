"""Bringing a database to today's tables: alembic, driven from code.

`upgrade` is idempotent and takes an advisory lock, so that two services that
start together do not migrate twice.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from track.schema.lasting import SETTINGS

HERE = Path(__file__).parent
LOCK = 0x5EC1_4E17


def config(url: str) -> Config:
    """Alembic's configuration for the database at `url` (a `postgresql+psycopg` URL)."""
    settings = Config()
    settings.set_main_option("script_location", str(HERE))
    settings.attributes["url"] = url
    return settings


def upgrade(url: str) -> None:
    """Migrate the database at `url` to the newest revision; harmless when it is there."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(text(SETTINGS))  # a migration takes as long as it takes
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK})
            settings = config(url)
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")
            connection.commit()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK})
            connection.commit()
    finally:
        engine.dispose()
