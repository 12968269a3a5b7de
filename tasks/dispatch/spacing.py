"""Looks at the database, kept apart by what they take.

Every notice asks for a look. At rest it is had at once; in a burst a look takes long and notices
come fast, and then one look answers many of them.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

APART = 1.0
"""How long there is none after a look, by how long that one took: half of the time at most."""

MAX_APART_S = 0.5


class Spacing:
    """Keeps looks of one kind apart."""

    def __init__(self) -> None:
        self._next = 0.0

    @contextmanager
    def look(self) -> Iterator[None]:
        """Surrounds a look; how it ends does not matter."""
        began = time.monotonic()
        try:
            yield
        finally:
            ended = time.monotonic()
            self._next = ended + min(MAX_APART_S, APART * (ended - began))

    async def wait(self) -> None:
        """Wait until the next look is due; at rest it is at once."""
        await asyncio.sleep(max(0.0, self._next - time.monotonic()))
