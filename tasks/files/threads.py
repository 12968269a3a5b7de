"""Blocking work off the event loop: a few threads for each kind of work.

A share that hangs, or a large image, must not stop callbacks from being answered.
A pool belongs to the event loop it is used on and is made at its first use.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar, TypeVarTuple

from anyio.lowlevel import RunVar

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Stop = threading.Event
"""Set when whoever waits for the work was cancelled: the work ends at its next chunk."""


class Threads:
    """At most `size` pieces of one kind of work at a time, for each event loop."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._pool: RunVar[ThreadPoolExecutor] = RunVar(f"threads of {name}")

    async def run(self, work: Callable[[Stop, *Ts], T], *args: *Ts) -> T:
        """Do `work(stop, …)` in a thread.

        A cancelled caller waits for the thread to notice: an effect that outlives the
        lease of the one who asked for it could meet its successor's.
        """
        stop = Stop()
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor(), partial(work, stop, *args))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait([future])
            if not future.cancelled():
                future.exception()  # seen; the caller gets the cancellation
            raise

    def _executor(self) -> ThreadPoolExecutor:
        pool = self._pool.get(None)
        if pool is None:
            pool = ThreadPoolExecutor(self._size, thread_name_prefix=self._name)
            self._pool.set(pool)
        return pool
