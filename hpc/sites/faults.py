"""When a site is taken for broken: its jobs end before they start, without a fault of theirs."""

from dataclasses import dataclass

from schemas.backoff import Backoff

FAULT_S = 600.0
HOLDS = Backoff(FAULT_S, 3600.0)
FAULTS = 3
"""Jobs that end so, one after another, until the site is held."""


@dataclass
class SiteFaults:
    """How many there were since a job started, and until when the site is held for them.

    Held again without a start in between it is held longer. `now` is monotonic, in seconds.
    """

    times: int = 0
    holds: int = 0
    why: str = ""
    until: float = 0.0

    def note(self, why: str, now: float) -> bool:
        """Note one more; whether the site is held since now."""
        self.times += 1
        if self.times < FAULTS or self.held(now):
            return False
        self.holds += 1
        self.why, self.until = why, now + HOLDS.pause_s(self.holds)
        return True

    def recall(self, why: str, age_s: float, now: float) -> None:
        """Take up that the site was held so long ago."""
        self.times, self.holds, self.why, self.until = FAULTS, 1, why, now + FAULT_S - age_s

    def clear(self) -> None:
        """A job got as far as its start: the site is in order."""
        self.times, self.holds, self.why = 0, 0, ""

    def held(self, now: float) -> str:
        """Why the site is taken for broken now, or nothing."""
        if self.why and now > self.until:
            self.times, self.why = FAULTS - 1, ""
        return self.why
