"""The scheduler's signals: a job that is told to stop does so at once; its exit code says which.

The handler raises only inside `interruptible`; while an outcome is being delivered it
merely notes the signal, so that the delivery is cut short but never torn.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hpc.runner.errors import Terminated

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""SIGUSR1: what a batch script is sent shortly before its time limit, when so asked."""


class Signals:
    """`ended` is the number of the first ending signal, None until there was one."""

    def __init__(self) -> None:
        self.ended: int | None = None
        self._raise = False

    def install(self) -> None:
        """Take over the ending signals; main thread only."""
        for number in ENDING:
            signal.signal(number, self.on_signal)

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Note the signal, and raise Terminated where that is allowed."""
        self.ended = self.ended or number
        if self._raise:
            self._raise = False
            raise Terminated(self.ended)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Inside, an ending signal raises Terminated; one that came before does so at once."""
        if self.ended:
            raise Terminated(self.ended)
        self._raise = True
        try:
            yield
        finally:
            self._raise = False

    def hurry(self) -> bool:
        """Whether waits should be cut short."""
        return self.ended is not None
