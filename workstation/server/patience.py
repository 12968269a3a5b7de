"""Tries again what the server could not do just now, with growing pauses, until it is too long."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from schemas.backoff import Backoff
from workstation.server.errors import ServerAway, ServerProblem
from workstation.watching import StopSign

T = TypeVar("T")

GIVE_UP_AFTER_S = 30 * 60.0
PAUSES = Backoff(first_s=1.0, longest_s=60.0)


class ServerStaysAway(ServerProblem):
    """For too long the server did nothing of what was asked."""

    code = "server_stays_away"


@dataclass
class Patience:
    """One for all who ask a server at once: what moves for one of them gives time to all.

    `give_up_after_s`: seconds without anything moving; `notes` tells a person of pauses.
    """

    notes: Callable[[str], None]
    stop: StopSign
    give_up_after_s: float = GIVE_UP_AFTER_S
    pauses: Backoff = PAUSES
    _failing_since: float | None = None
    _noted_until: float = 0.0
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def until_done(self, work: Callable[[Callable[[], None]], T]) -> T:
        """What `work` returns, tried again while its error allows it.

        `work` is given a function to call when something moved that never had: from then on
        pauses are short again. Raises ServerStaysAway, IngestStopped, and what may not be retried.
        """
        failures = 0

        def moved() -> None:
            nonlocal failures
            failures = 0
            with self._changing:
                self._failing_since = None

        while True:
            self.stop.check()
            try:
                done = work(moved)
            except ServerProblem as error:
                if not error.may_retry:
                    raise
                failures += 1
                self._pause(failures, error)
            else:
                moved()
                return done

    def _pause(self, failures: int, error: ServerProblem) -> None:
        # Workstations that one server left must not all come back in one moment.
        pause = self.pauses.pause_s(failures) * random.uniform(0.5, 1.0)
        pause = max(pause, error.retry_after or 0.0)
        now = time.monotonic()
        with self._changing:
            since = self._failing_since = self._failing_since or now
            is_told = now < self._noted_until
            if not is_told:
                self._noted_until = now + pause
        if now - since > self.give_up_after_s:
            minutes = max(1, round((now - since) / 60))
            text = (
                f"nothing has moved for {minutes} min: {error.text}; run the same command again "
                "later: it goes on where it was"
            )
            raise ServerStaysAway(text) from error
        if not is_told:
            what = "the server is away" if isinstance(error, ServerAway) else error.text
            self.notes(f"{what}; it is tried again in {max(1, round(pause))} s")
        self.stop.wait(pause)
