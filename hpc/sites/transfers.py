"""Moves files while a driver's turns go on, so that a large one delays no poll, send or cancel.

A few at once, each under a name and never twice: the driver keeps the other channels of the
site's connection. Nothing here is kept: after a kill the database and the site show what is due.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

AT_ONCE = 2
"""Of the five channels that a site's connection has."""


@dataclass
class BackgroundTransfers:
    """Transfers under way, by name."""

    _under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def begin(self, name: str, work: Callable[[], Awaitable[object]]) -> None:
        """Begin something as soon as there is a place, unless it is under way."""
        if name not in self._under_way:
            self._under_way[name] = asyncio.create_task(self._do(work), name=name)

    def has(self, name: str) -> bool:
        """Whether that is under way, or waits for its place."""
        return name in self._under_way

    def reap_finished(self) -> None:
        """Forget what has ended; raises what the first of it that failed has raised."""
        for name, task in list(self._under_way.items()):
            if task.done():
                del self._under_way[name]
                task.result()

    async def close(self) -> None:
        """Stop all of it, and wait until it has stopped."""
        tasks = list(self._under_way.values())
        self._under_way.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _do(self, work: Callable[[], Awaitable[object]]) -> None:
        async with self._places:
            await work()
