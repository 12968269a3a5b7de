"""Waits that a thread, a signal or the end of a child cuts short."""

import contextlib
import os
import select
import signal
from types import FrameType
from typing import Optional


class Waker:
    """A wait that anybody may end; also a signal handler, which must not take any lock."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self.is_told_to_end = False

    def install(self) -> None:
        """Wake at the end of a child, and note when this process is told to end."""
        signal.signal(signal.SIGCHLD, self._on_child)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_end)

    def wake(self) -> None:
        """End the wait."""
        with contextlib.suppress(BlockingIOError):  # woken often enough
            os.write(self._writer, b".")

    def wait(self, seconds: float) -> None:
        """Wait until somebody wakes, `seconds` at most."""
        select.select([self._reader], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, 65536)

    def _on_child(self, _number: int, _frame: Optional[FrameType]) -> None:
        self.wake()

    def _on_end(self, _number: int, _frame: Optional[FrameType]) -> None:
        self.is_told_to_end = True
        self.wake()
