"""A site of the demonstration's own: known to the running system for a while, and gone after."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime

from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.addresses import Addresses
from refinery.definitions import read_sites
from refinery.settings import Settings
from schemas.sites import Site
from track.jobs.sites import load_sites
from track.schema.database import transact

ACTOR = "demo"

GONE = text("""
    UPDATE track.retention SET done_at = now(), outcome = 'the demonstration took its site down'
    WHERE kind = 'site' AND location = :site AND done_at IS NULL
""")


class NoSiteHere(RuntimeError):
    """The site that was asked for cannot be made here; the message says what to do."""


def is_own(settings: Settings, site: str, name: str) -> bool:
    """Whether `--site` asks for our own site of that name, and not for one of the sites file."""
    return site == name and name not in {each.name for each in read_sites(settings)}


@asynccontextmanager
async def known_site(
    settings: Settings, addresses: Addresses, engine: AsyncEngine, site: Site
) -> AsyncIterator[None]:
    """Make a site known as the sites file would; afterwards note that its folders are gone."""
    await transact(engine, load_sites, [*read_sites(settings), site], actor=ACTOR)
    try:
        with prefect_at(addresses):
            yield
    finally:
        await forget_site(settings, engine, site)


async def forget_site(settings: Settings, engine: AsyncEngine, site: Site) -> None:
    """Leave only the sites of the sites file open, and note that this one's folders are gone."""
    await transact(engine, load_sites, read_sites(settings), actor=ACTOR)
    await transact(engine, lambda tx: tx.execute(GONE, {"site": site.name}))


@contextmanager
def prefect_at(addresses: Addresses) -> Iterator[None]:
    """Prefect's client talks to this system's server, whatever this host's profile says."""
    updates = {
        PREFECT_API_URL: addresses.prefect_api,
        PREFECT_API_AUTH_STRING: addresses.prefect_login,
    }
    with temporary_settings(updates=updates):
        yield


async def database_time(engine: AsyncEngine) -> datetime:
    """The database's own time, the only one that is compared."""
    async with engine.connect() as tx:
        now: datetime = (await tx.execute(text("SELECT now()"))).scalar_one()
    return now
