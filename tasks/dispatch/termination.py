"""A run that SIGTERM ends, whatever its event loop was at when the signal came.

Prefect's handler raises TerminationSignal in the line that the signal met. Within a task beside the
run, asyncio keeps that as this task's end and nobody else hears of it: the run would go on until
its worker kills it, half a minute later. So the loop is told of the signal as well.
"""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from prefect.exceptions import TerminationSignal

from tasks.background import begin

log = logging.getLogger(__name__)


@asynccontextmanager
async def ended_by_sigterm() -> AsyncIterator[None]:
    """Around a run's work; raises TerminationSignal in it once the process was sent SIGTERM."""
    told, mine = asyncio.Event(), asyncio.current_task()
    if mine is None:
        raise RuntimeError("only a task can be ended")
    with _hearing(told):
        watch = begin(_end(mine, told), "the watch for SIGTERM")
        try:
            yield
        except asyncio.CancelledError:
            if not told.is_set():
                raise
            mine.uncancel()
            raise TerminationSignal(signal.SIGTERM) from None
        finally:
            watch.cancel()


async def _end(run: asyncio.Task[object], told: asyncio.Event) -> None:
    await told.wait()
    log.info("SIGTERM: this run ends, and gives back what it has")
    run.cancel()


@contextmanager
def _hearing(told: asyncio.Event) -> Iterator[None]:
    """Set `told` at SIGTERM, beside what its handler does: that Prefect's stays in place is how
    its worker knows that a cancelled run will end by itself."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals never come here
        return
    loop, (heard, hears) = asyncio.get_running_loop(), socket.socketpair()

    def read() -> None:
        if signal.SIGTERM in heard.recv(4096):
            told.set()

    with heard, hears:
        for end in (heard, hears):
            end.setblocking(False)
        loop.add_reader(heard, read)
        before = signal.set_wakeup_fd(hears.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(heard)
