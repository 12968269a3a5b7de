"""The lock that makes one driver the driver of a site, on a connection of its own.

The connection is asked every few seconds: that keeps it from being idle, and shows when the
lock went with it. Its statements are written here and not in `track`: they concern this one
connection, which is none of a pool's, and no table. PostgreSQL gives the lock to another as
soon as it has ended the session, which its holder may learn `FENCE_S` later; so whoever stood
by waits so long before it acts.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg

from track.schema.lasting import CONNECT, SETTINGS

CHANNEL = "refinery_site"
"""Where a job handed to a site is announced; the payload is the site's name."""

CHECK_S = 2.0
ANSWER_S = 10.0
"""How long the database may take to show that the session lives."""
FENCE_S = CHECK_S + ANSWER_S + 1.0
"""By then a holder has seen that its lock is lost, and has no effect any more."""
TRY_S = 0.5
STOOD_BY_S = 2.0
"""Who waited for less only met a driver that released the lock as it ended."""

Connection = psycopg.AsyncConnection[tuple[object, ...]]


class LockLost(Exception):
    """The connection that holds the site's lock is gone: another may drive the site."""


class SiteLock:
    """A site's lock, held for as long as `watch` runs; `notified` is set by a notice."""

    def __init__(self, connection: Connection, site: str) -> None:
        self._connection, self._site = connection, site
        self._session = connection.info.backend_pid
        self.notified = asyncio.Event()

    async def watch(self) -> None:
        """Receive notices, and check the connection again and again. Raises LockLost."""
        while True:
            try:
                async for notice in self._connection.notifies(timeout=CHECK_S):
                    if notice.payload == self._site:
                        self.notified.set()
                await self._check()
            except psycopg.Error as error:
                first = str(error).strip().partition("\n")[0]
                raise LockLost(f"the database ended the lock's connection ({first})") from error

    async def next_notice(self, max_s: float) -> None:
        """Return when something was queued for the site, at the latest after `max_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max_s):
                await self.notified.wait()
        self.notified.clear()

    async def _check(self) -> None:
        """Check that the session is the one that took the lock: a pooler may have changed it."""
        asking = asyncio.ensure_future(self._ask())
        try:
            # Not wait_for: it waits for a cancelled query's end, over a dead network for long.
            await asyncio.wait({asking}, timeout=ANSWER_S)
        finally:
            asking.add_done_callback(_forget)
            asking.cancel()
        if not asking.done():
            raise LockLost(f"the lock's connection has not answered for {ANSWER_S:.0f} s")
        if asking.result() != self._session:
            raise LockLost("a pooler gave the lock's connection to another session")

    async def _ask(self) -> object:
        cursor = await self._connection.execute("SELECT pg_backend_pid()")
        row = await cursor.fetchone()
        return row[0] if row else None


def _forget(task: asyncio.Task[object]) -> None:
    """Read how a check ended that nobody awaits any more, so that asyncio does not warn of it."""
    if not task.cancelled():
        task.exception()


@asynccontextmanager
async def hold(url: str, site: str) -> AsyncIterator[SiteLock]:
    """Hold the site's lock, having waited for it while another has it.

    Raises LockLost when the connection breaks while it is waited for.
    """
    address = url.replace("postgresql+psycopg://", "postgresql://")
    connection = await psycopg.AsyncConnection.connect(
        address,
        autocommit=True,
        application_name="refinery site lock",
        **CONNECT,  # type: ignore[arg-type]
    )
    try:
        try:
            await connection.execute(SETTINGS)
            await _take(connection, site)
            await connection.execute(f"LISTEN {CHANNEL}".encode())
        except psycopg.OperationalError as error:
            raise LockLost(f"the lock's connection broke while it waited ({error})") from error
        yield SiteLock(connection, site)
    finally:
        await connection.close()


async def _take(connection: Connection, site: str) -> None:
    """Wait until nobody else has the lock, nor may still act on having had it."""
    statement = "SELECT pg_try_advisory_lock(hashtextextended('site:' || %s, 0))"
    began = time.monotonic()
    while True:
        cursor = await connection.execute(statement, (site,))
        if await cursor.fetchone() == (True,):
            break
        await asyncio.sleep(TRY_S)
    if time.monotonic() - began > STOOD_BY_S:
        await asyncio.sleep(FENCE_S)
