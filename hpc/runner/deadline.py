"""How long something is tried again, and how long to wait in between."""

import time
from collections.abc import Callable

LONGEST_PAUSE_S = 30.0


class Deadline:
    """How long to keep trying: `seconds` from now, or no longer once `hurry` is true."""

    def __init__(self, seconds: float, hurry: Callable[[], bool] = lambda: False) -> None:
        self._until = time.monotonic() + seconds
        self._hurry = hurry
        self._tries = 0

    def wait(self, min_s: float = 0.0) -> bool:
        """Pause before the next try; False when the deadline would pass meanwhile."""
        from random import uniform

        ceiling = min(LONGEST_PAUSE_S, 0.25 * 2.0 ** min(self._tries, 10))
        self._tries += 1
        wake = time.monotonic() + max(min(min_s, LONGEST_PAUSE_S), uniform(0, ceiling))
        if wake > self._until:
            return False
        # Short naps: the scheduler's signal must be able to end the wait, and a signal
        # handler that does not raise would let one long sleep run to its end.
        while (left := wake - time.monotonic()) > 0:
            if self._hurry():
                return False
            time.sleep(min(left, 0.25))
        return True
