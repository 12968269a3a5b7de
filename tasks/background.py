"""What is done beside everything else: how it breaks is heard of, and what lasts begins again.

asyncio keeps what a task raised until somebody awaits it, and these nobody awaits before the end.
What can go wrong is the work's own affair; here is only what nobody has foreseen.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from schemas.backoff import Backoff

T = TypeVar("T")

PAUSES = Backoff(1.0, 60.0)
"""Pauses before what broke begins again, ever longer while it breaks at once."""

log = logging.getLogger(__name__)


def begin(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Have `work` done once, beside; how it breaks is logged under `name` at once."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_report)
    return task


def keep(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> asyncio.Task[None]:
    """Have `work` done beside until it returns or is cancelled; when it breaks, it begins again."""
    return begin(_kept(work, name), name)


async def _kept(work: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    broken = 0
    while True:
        began = time.monotonic()
        try:
            return await work()
        except Exception:
            broken = 1 if time.monotonic() - began >= PAUSES.longest_s else broken + 1
            log.exception("%s broke; it begins again in %.0f s", name, PAUSES.pause_s(broken))
        await asyncio.sleep(PAUSES.pause_s(broken))


def _report(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("%s broke", task.get_name(), exc_info=error)
