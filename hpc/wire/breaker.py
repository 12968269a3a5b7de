"""One circuit breaker per site: after a failure nobody knocks again before its time.

Waits double from 1 to 300 seconds and are drawn at random below that (full jitter), so
that several systems do not come back to a restarted host all at once.
"""

import random
from dataclasses import dataclass, field

FIRST_S = 1.0
LONGEST_S = 300.0


@dataclass
class Breaker:
    """Closed: ask freely. Open: not before `opens_at`. Half open: one may try.

    Times are seconds of a monotonic clock that the caller reads.
    """

    failures: int = 0
    opens_at: float = 0.0
    why: str = ""
    rng: random.Random = field(default_factory=random.Random, repr=False)

    def wait_s(self, now: float) -> float:
        """Seconds until one may try; 0 when one may now."""
        return max(0.0, self.opens_at - now)

    def failed(self, now: float, why: str, *, hopeless: bool = False) -> float:
        """Note a failure; the seconds to wait. `hopeless` is one that only a person can mend:
        knocking on gets an account banned."""
        self.failures += 1
        ceiling = min(LONGEST_S, FIRST_S * 2.0 ** min(self.failures - 1, 20))
        wait = LONGEST_S if hopeless else self.rng.uniform(0.05 * ceiling, ceiling)
        self.opens_at = now + wait
        self.why = why
        return wait

    def succeeded(self) -> None:
        """All is well again."""
        self.failures = 0
        self.opens_at = 0.0
        self.why = ""
