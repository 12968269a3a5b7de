"""One circuit breaker per site: after a failure nobody connects again before a pause is over.

Pauses double, each kind of failure between bounds of its own. Where a host is merely away
they are drawn at random below that (full jitter), so that several systems do not come back
to a restarted host all at once.
"""

import random
from dataclasses import dataclass, field

from hpc.transport.errors import LoginBackoff, WireError


@dataclass
class Breaker:
    """Keeps a host from being asked before `opens_at`, in seconds of a monotonic clock."""

    failures: int = 0
    opens_at: float = 0.0
    why: str = ""
    rng: random.Random = field(default_factory=random.Random, repr=False)

    def wait_s(self, now: float) -> float:
        """Seconds until one may try; 0 when one may now."""
        return max(0.0, self.opens_at - now)

    def failed(self, now: float, why: str, pauses: LoginBackoff = WireError.pauses) -> float:
        """Note a failure; the seconds to wait. Logging in again and again gets an account
        banned."""
        self.failures += 1
        ceiling = pauses.pause_s(self.failures)
        wait = ceiling if pauses.even else self.rng.uniform(0.05 * ceiling, ceiling)
        self.opens_at = now + wait
        self.why = why
        return wait

    def succeeded(self) -> None:
        """Note a success: the next failure has the shortest pause again."""
        self.failures = 0
        self.opens_at = 0.0
        self.why = ""
