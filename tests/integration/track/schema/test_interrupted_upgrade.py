"""What an upgrade of the tables is spared: a kill in the middle, a second one, an older release."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory

from refinery.local.postgres import EmbeddedPostgres
from tests.integration.track.schema.test_migrations import LANDED
from tests.support.callbacks import until
from track.schema.migrations import DatabaseIsNewer, config, refuse_newer, upgrade

UPGRADE = "import sys; from track.schema.migrations import upgrade; upgrade(sys.argv[1])"
FORMER = "0021"
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
MADE_SO_FAR = "SELECT to_regclass('track.retention_rule') IS NOT NULL"
REVISION = "SELECT version_num FROM alembic_version"
IMAGES = "SELECT sum(images) FROM track.asset_hour"

Address = str


@pytest.fixture
def former(postgres: EmbeddedPostgres) -> tuple[str, Address]:
    """The SQLAlchemy URL of a database of the former release with a specimen, and psycopg's."""
    name = f"former_{uuid4().hex[:8]}"
    postgres.ensure_database(name)
    url, address = postgres.url(name), postgres.url(name, "postgresql")
    command.upgrade(config(url), "0004")
    with psycopg.connect(address) as connection:
        connection.execute(LANDED.encode())
    command.upgrade(config(url), FORMER)
    return url, address


@contextmanager
def writing(address: Address) -> Iterator[None]:
    """Somebody writes to the assets: an upgrade waits for the end of it, in its middle."""
    with psycopg.connect(address) as connection:
        connection.execute("LOCK TABLE track.asset IN ROW EXCLUSIVE MODE")
        yield


def upgrading(url: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", UPGRADE, url])


def asked(address: Address, statement: str) -> object:
    with psycopg.connect(address) as connection:
        ((value,),) = connection.execute(statement.encode()).fetchall()
    return value


def newest(url: str) -> str:
    return str(ScriptDirectory.from_config(config(url)).get_current_head())


async def waits(address: Address, count: int = 1) -> None:
    async def do_they() -> bool:
        return asked(address, WAITING) == count

    await until(do_they)


async def test_one_that_is_killed_in_the_middle_did_nothing_and_the_next_does_it(
    former: tuple[str, Address],
) -> None:
    url, address = former
    with writing(address):
        killed = upgrading(url)
        await waits(address)
        killed.kill()
        killed.wait()
        assert (asked(address, REVISION), asked(address, MADE_SO_FAR)) == (FORMER, False)
    upgrade(url)
    assert (asked(address, REVISION), asked(address, IMAGES)) == (newest(url), 1)


async def test_of_two_at_once_one_does_it_and_the_other_waits_for_it(
    former: tuple[str, Address],
) -> None:
    url, address = former
    with writing(address):
        both = [upgrading(url), upgrading(url)]
        await waits(address, 2)
    assert [each.wait(120) for each in both] == [0, 0]
    assert (asked(address, REVISION), asked(address, IMAGES)) == (newest(url), 1)


def test_an_older_release_says_what_to_do_and_changes_nothing(
    former: tuple[str, Address],
) -> None:
    url, address = former
    with psycopg.connect(address) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for look in (refuse_newer, upgrade):
        with pytest.raises(DatabaseIsNewer, match=r"at revision 9999.*restore FOLDER"):
            look(url)
    assert (asked(address, REVISION), asked(address, MADE_SO_FAR)) == ("9999", False)


def test_an_empty_database_and_one_of_today_are_no_newer(
    postgres: EmbeddedPostgres, template: str
) -> None:
    postgres.ensure_database("empty")
    for name in ("empty", template):
        refuse_newer(postgres.url(name))
