"""When something is tried again: after a random pause whose bound grows with each failure."""

import random
import time

FIRST_S = 1.0
LONGEST_S = 60.0


class GrowingPause:
    """When one thing is due again, in seconds of the monotonic clock."""

    def __init__(self) -> None:
        self._due = 0.0
        self._failures = 0

    @property
    def is_due(self) -> bool:
        """Whether it may be tried now."""
        return time.monotonic() >= self._due

    def fail(self, at_least_s: float = 0.0) -> float:
        """Note a failure; the seconds until the next try, never less than was asked for."""
        ceiling = min(LONGEST_S, FIRST_S * 2.0 ** min(self._failures, 10))
        self._failures += 1
        pause = max(at_least_s, random.uniform(0.0, ceiling))
        self._due = time.monotonic() + pause
        return pause

    def succeed(self, next_s: float = 0.0) -> None:
        """Note that it went well; it is due again in `next_s` seconds."""
        self._failures = 0
        self._due = time.monotonic() + next_s
