"""What costs seconds to read, kept for a while: a large session's counts, ten thousand reasons.

However many look, and however often, one such read takes a twentieth of the time at most.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

KEPT = 200
SHARE = 0.05


@dataclass
class _Kept:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    found: Any = None
    good_until: float = float("-inf")


class ReadsKept:
    """What was read last, by its name, of `KEPT` things; two who ask at once read once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()

    async def of(self, name: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` gives, or gave not longer ago than twenty times what it took."""
        mine = self._kept.setdefault(name, _Kept())
        self._kept.move_to_end(name)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        async with mine.lock:
            if time.monotonic() >= mine.good_until:
                began = time.monotonic()
                mine.found = await read()
                now = time.monotonic()
                mine.good_until = now + (now - began) / SHARE
            found: T = mine.found
            return found
