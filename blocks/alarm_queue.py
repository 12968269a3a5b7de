"""What an address has not taken, in its order, until it does or a day is over.

A message never overtakes an earlier one to the same address: whoever reads that something is up
again must not be told after it that it is down. It lives as long as Prefect's server.
"""

import asyncio
import logging
import time
from dataclasses import dataclass, field

from blocks.alarm_delivery import Delivery, deliver
from schemas.backoff import Backoff

log = logging.getLogger(__name__)

PAUSES = Backoff(60.0, 3600.0)
"""After so many seconds each it is tried again; and at once when there is more to tell."""

GIVE_UP_S = 86_400.0
"""What was not taken for so long is given up; what lasts is told again daily anyhow."""

MAX_TRIES = 3
"""So often refused, a message may be the fault, and is no longer waited for by the next one."""


@dataclass(eq=False)
class _Waiting:
    subject: str
    body: str
    since: float = field(default_factory=time.monotonic)
    tries: int = 0


@dataclass(eq=False)
class AddressQueue:
    """The messages for one Apprise address."""

    url: str
    waiting: list[_Waiting] = field(default_factory=list)
    retrying: asyncio.Task[None] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def send(self, subject: str, body: str) -> Delivery:
        """Send a message after those that wait; what became of it at its first try.

        One that is not taken is tried again beside, so that nobody waits for that.
        """
        self.waiting.append(_Waiting(subject, body))
        found = await self._deliver()
        if self.waiting and self.retrying is None:
            self.retrying = asyncio.create_task(self._retry())
        return found

    async def _deliver(self) -> Delivery:
        """Send what waits, up to the second that is not taken; the first of those, if any."""
        refused: Delivery | None = None
        async with self._lock:
            for message in list(self.waiting):
                (found,) = await deliver([self.url], message.subject, message.body)
                if found.taken:
                    self.waiting.remove(message)
                    continue
                message.tries += 1
                if time.monotonic() - message.since >= GIVE_UP_S:
                    log.error("%s never took %r: %s", found.shown, message.subject, found.answer)
                    self.waiting.remove(message)
                if refused is not None or message.tries < MAX_TRIES:
                    return refused or found
                refused = found
        return refused or Delivery(self.url, "", True, "taken")

    async def _retry(self) -> None:
        tries = 0
        try:
            while self.waiting:
                tries += 1
                await asyncio.sleep(PAUSES.pause_s(tries))
                await self._deliver()
        finally:
            self.retrying = None


_queues: dict[str, AddressQueue] = {}


def queue_of(url: str) -> AddressQueue:
    """The one queue of an address in this process."""
    return _queues.setdefault(url, AddressQueue(url))
