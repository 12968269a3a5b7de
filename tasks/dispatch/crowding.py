"""Whether Prefect has time to show each job by a subflow of its own.

It is asked for a few at a time and answers as fast as it can: its answers say what a subflow
costs. Those of a burst would keep it busy for long, and those of a stream that never ends take the
processor from the jobs themselves; of both, many share one.
"""

import time
from collections import deque
from collections.abc import Callable

FIRST_COST_S = 0.1
"""What a subflow costs Prefect, until it was measured here."""

LEARNS = 0.2
"""The weight of the last answer in that measure."""

SPAN_S = 10.0
BUSY = 0.5
"""The part of that span that Prefect may be busy with a subflow for each job."""

SHORT_S, LONG_S = 0.3, 2.0
"""How long jobs are gathered before they are shown. What is over by then needs one request less,
and those of a burst are seen together; in a stream, more of them."""


class Crowding:
    """What has begun and what it would cost to show it; `clock` is monotonic, in seconds.

    `width`: how many subflows Prefect is asked for at a time; `burst_s`: how long it may be busy
    with those of a burst.
    """

    def __init__(
        self, width: int, burst_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._width, self._burst_s, self._clock = width, burst_s, clock
        self._cost_s = FIRST_COST_S
        self._begun: deque[tuple[float, int]] = deque()

    def began(self, jobs: int) -> None:
        """So many have begun, and are to be shown."""
        self._begun.append((self._clock(), jobs))

    def answered(self, seconds: float) -> None:
        """Prefect took so long to make a subflow."""
        self._cost_s += LEARNS * (seconds - self._cost_s)

    def too_many(self, unshown: int) -> bool:
        """Whether jobs share subflows, with so many that are not shown yet."""
        return self._takes_s(unshown) > self._burst_s or self._in_a_stream()

    @property
    def gather_s(self) -> float:
        """How long the next jobs are gathered."""
        return LONG_S if self._in_a_stream() else SHORT_S

    def _in_a_stream(self) -> bool:
        past = self._clock() - SPAN_S
        while self._begun and self._begun[0][0] < past:
            self._begun.popleft()
        return self._takes_s(sum(jobs for _, jobs in self._begun)) > BUSY * SPAN_S

    def _takes_s(self, jobs: int) -> float:
        return jobs * self._cost_s / self._width
