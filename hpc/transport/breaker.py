"""One circuit breaker per site: after a failure nobody knocks again before its time.

Pauses double, each kind of failure between bounds of its own. Where a host is merely away
they are drawn at random below that (full jitter), so that several systems do not come back
to a restarted host all at once.
"""

import random
from dataclasses import dataclass, field

from hpc.transport.errors import LoginBackoff


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

    def failed(self, now: float, why: str, pauses: LoginBackoff | None = None) -> float:
        """Note a failure; the seconds to wait. Knocking again and again gets an account
        banned."""
        pauses = pauses or LoginBackoff()
        self.failures += 1
        ceiling = pauses.pause_s(self.failures)
        wait = ceiling if pauses.even else self.rng.uniform(0.05 * ceiling, ceiling)
        self.opens_at = now + wait
        self.why = why
        return wait

    def succeeded(self) -> None:
        """All is well again."""
        self.failures = 0
        self.opens_at = 0.0
        self.why = ""
