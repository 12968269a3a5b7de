"""What every site's driver does: one per site, woken by the queue, silent otherwise.

A driver holds the site's advisory lock on a connection of its own, so a second one
stands by. It takes what is queued, hands it to the site, watches, and reports the
end of what ended without a word.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import psycopg
from sqlalchemy.ext.asyncio import AsyncEngine

from track.database import transact
from track.site_health import seen

CHANNEL = "refinery_site"
"""Where a job handed to a site is announced; the payload is the site's name."""

STAND_BY_S = 2.0
TICK_S = 2.0
SEEN_EVERY_S = 15.0
LONGEST_TURN_S = 1800.0
"""A turn that lasts longer hangs: its site is then one that nobody drives."""

log = logging.getLogger(__name__)


class SiteDriver(Protocol):
    """How one kind of site is driven."""

    async def adopt(self) -> None:
        """Take up what an earlier driver of this site left under way."""

    async def turn(self) -> None:
        """Send what is queued, look at what is under way, report what ended."""

    async def close(self) -> None:
        """Let go; what runs over there goes on."""


async def drive(url: str, engine: AsyncEngine, site: str, driver: SiteDriver) -> None:
    """Drive one site until cancelled; stands by while another driver has it."""
    async with _site_lock(url, site) as notices:
        log.info("site %s: this driver has it", site)
        presence = Presence(engine, site)
        noting = asyncio.create_task(presence.keep(), name=f"presence at {site}")
        try:
            await driver.adopt()
            while True:
                await driver.turn()
                presence.note_progress()
                if noting.done():
                    noting.result()
                await _next_notice(notices, site)
        finally:
            noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)
            await driver.close()


class Presence:
    """Notes in the database that a site is driven, also while a long turn is under way.

    `clock` is monotonic, in seconds.
    """

    def __init__(
        self, engine: AsyncEngine, site: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine, self._site, self._clock = engine, site, clock
        self._turned_at = clock()

    def note_progress(self) -> None:
        """A turn has ended."""
        self._turned_at = self._clock()

    async def keep(self) -> None:
        """Note it now and then until cancelled. Raises what the database raises."""
        while True:
            if self._clock() - self._turned_at < LONGEST_TURN_S:
                await transact(self._engine, lambda tx: seen(tx, self._site))
            await asyncio.sleep(SEEN_EVERY_S)


@asynccontextmanager
async def _site_lock(
    url: str, site: str
) -> AsyncIterator[psycopg.AsyncConnection[tuple[object, ...]]]:
    """Hold the site's lock on a connection that also listens for its notices."""
    address = url.replace("postgresql+psycopg://", "postgresql://")
    async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
        while not await _try_lock(connection, site):
            await asyncio.sleep(STAND_BY_S)
        await connection.execute(f"LISTEN {CHANNEL}".encode())
        yield connection


async def _try_lock(connection: psycopg.AsyncConnection[tuple[object, ...]], site: str) -> bool:
    statement = "SELECT pg_try_advisory_lock(hashtextextended('site:' || %s, 0))"
    cursor = await connection.execute(statement, (site,))
    return await cursor.fetchone() == (True,)


async def _next_notice(connection: psycopg.AsyncConnection[tuple[object, ...]], site: str) -> None:
    """Return when something was queued for the site, at the latest after a tick."""
    async for notice in connection.notifies(timeout=TICK_S):
        if notice.payload == site:
            return
