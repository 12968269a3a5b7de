"""Runs a site's driver: one per site, woken by the queue and by the clock.

A driver holds the site's advisory lock, so a second one stands by; losing it stops what the
driver does. It takes what is queued, hands it to the site, polls, and reports the end of what
ended without a result.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from hpc.sites.lock import SiteLock, hold
from track.commands.site_health import seen
from track.schema.database import transact

TICK_S = 2.0
SEEN_EVERY_S = 15.0
MAX_TURN_S = 1800.0
"""A turn that lasts longer hangs: its site then counts as not driven."""

log = logging.getLogger(__name__)


class SiteDriver(Protocol):
    """How one kind of site is driven."""

    async def adopt(self, wake: Callable[[], None] | None = None) -> None:
        """Continue with what an earlier driver of this site left under way.

        `wake` asks for a turn before the tick; for a driver that is told when something ends.
        """

    async def turn(self) -> float | None:
        """Send what is queued, poll what is under way, report what ended.

        After so many seconds the next turn has something to do; None: not that it is known.
        """

    async def close(self) -> None:
        """Close connections; what runs over there goes on."""


async def drive(url: str, engine: AsyncEngine, site: str, driver: SiteDriver) -> None:
    """Drive one site until cancelled; stands by while another driver has it.

    Raises LockLost once it may be another's: whatever was under way here is cancelled by then.
    """
    async with hold(url, site) as lock:
        log.info("site %s: this driver has it", site)
        presence = Presence(engine, site)
        # The lock first: when it is lost, that is why the other tasks failed as well.
        tasks = [
            asyncio.create_task(lock.watch(), name=f"lock of {site}"),
            asyncio.create_task(presence.keep(), name=f"presence at {site}"),
            asyncio.create_task(_turns(lock, presence, driver), name=f"turns at {site}"),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await driver.close()


async def _turns(lock: SiteLock, presence: "Presence", driver: SiteDriver) -> None:
    """One turn after another, each when something was queued or ended and at least every tick."""
    await driver.adopt(lock.notified.set)
    while True:
        due_s = await driver.turn()
        presence.note_progress()
        await lock.next_notice(TICK_S if due_s is None else min(due_s, TICK_S))


class Presence:
    """Notes in the database that a site is driven, also during a long turn.

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
            if self._clock() - self._turned_at < MAX_TURN_S:
                await transact(self._engine, seen, self._site)
            await asyncio.sleep(SEEN_EVERY_S)
