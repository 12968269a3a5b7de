"""Waiting for work at a site: the database says when something was put into a queue.

A notice costs nothing to lose: whoever waits looks again when its time is over.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

import psycopg
from sqlalchemy import URL

from track.records.wake import SITE_CHANNEL
from track.schema.lasting import notices

POLL_S = 1.0
AGAIN_S = 1.0

log = logging.getLogger(__name__)


class QueueNotices:
    """Tells those who wait for work at a site that there is some."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Event] = {}

    async def next_notice(self, site: str, seconds: float) -> None:
        """Return when a site's queue may have changed, at the latest after so many seconds."""
        event = self._waiting.setdefault(site, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    def notify(self, site: str) -> None:
        """A site's queue may have changed."""
        if (event := self._waiting.pop(site, None)) is not None:
            event.set()

    async def listen(self, url: URL) -> None:
        """Listen until cancelled; the database may come and go."""
        while True:
            try:
                async with aclosing(notices(url, SITE_CHANNEL, POLL_S)) as found:
                    async for payload in found:
                        if payload:
                            self.notify(payload)
            except (psycopg.Error, OSError) as error:
                log.info("nobody tells of new work at sites: %s", error)
            except Exception:
                log.exception("the notices of sites' queues broke; they begin again")
            await asyncio.sleep(AGAIN_S)


@asynccontextmanager
async def listening(url: URL) -> AsyncIterator[QueueNotices]:
    """Notices of all sites' queues, while the block lasts."""
    found = QueueNotices()
    task = asyncio.create_task(found.listen(url), name="notices of sites' queues")
    try:
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
