"""How often one caller may ask: a bucket of requests that fills again with time."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MAX_CALLERS = 10_000
"""Callers that are remembered; those that asked longest ago are forgotten."""


class Rates:
    """At most `burst` requests of a caller at once, and `per_s` a second in the long run.

    `clock` is monotonic, in seconds.
    """

    def __init__(
        self, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s, self._burst, self._clock = per_s, float(burst), clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def wait_s(self, caller: Hashable) -> float:
        """Count a request; 0 when it may be served, else after how many seconds it may."""
        now = self._clock()
        left, at = self._left.pop(caller, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._per_s)
        served = left >= 1.0
        self._left[caller] = (left - served, now)
        if len(self._left) > MAX_CALLERS:
            self._left.popitem(last=False)
        return 0.0 if served else (1.0 - left) / self._per_s

    def give_back(self, caller: Hashable) -> None:
        """Count the caller's last request no more; what was served need not have been a guess."""
        if caller in self._left:
            left, at = self._left[caller]
            self._left[caller] = (min(self._burst, left + 1.0), at)
