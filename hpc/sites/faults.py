"""When a site is taken for broken: jobs end before they start, or its scheduler does not work.

Neither is a fault of the jobs. Times are seconds of a monotonic clock that the caller reads.
"""

from dataclasses import dataclass

from schemas.backoff import Backoff

FAULT_S = 600.0
HOLDS = Backoff(FAULT_S, 3600.0)
PAUSES = Backoff(1.0, 300.0)
IN_A_ROW = 3
"""Faults, one after another, until the site is taken for broken."""

PATIENCE_S = 30.0
MAX_CHARACTERS = 300


@dataclass
class SiteFaults:
    """How many jobs in a row ended before their start, and until when the site is held for them.

    Held again without a start in between it is held longer.
    """

    times: int = 0
    holds: int = 0
    why: str = ""
    until: float = 0.0

    def note(self, why: str, now: float) -> bool:
        """Note one more; whether the site is held since now."""
        self.times += 1
        if self.times < IN_A_ROW or self.held(now):
            return False
        self.holds += 1
        self.why, self.until = why, now + HOLDS.pause_s(self.holds)
        return True

    def recall(self, why: str, age_s: float, now: float) -> None:
        """Continue a hold that began so many seconds ago, before this driver."""
        self.times, self.holds, self.why, self.until = IN_A_ROW, 1, why, now + FAULT_S - age_s

    def clear(self) -> None:
        """Note that a job got as far as its start: the site is in order."""
        self.times, self.holds, self.why = 0, 0, ""

    def held(self, now: float) -> str:
        """Why the site is taken for broken now, or nothing."""
        if self.why and now > self.until:
            self.times, self.why = IN_A_ROW - 1, ""
        return self.why


@dataclass
class ProgramFailures:
    """How often and since when a program of the scheduler gives no answer, or refuses everything.

    It is asked again after one of the growing `pauses`. When it failed often, and for longer
    than `patience_s`, the site cannot work; `what` is what the program does, in words.
    """

    program: str
    what: str = "has had no answer"
    pauses: Backoff = PAUSES
    patience_s: float = PATIENCE_S
    times: int = 0
    since: float = 0.0
    noted_at: float = 0.0
    again_at: float = 0.0
    why: str = ""
    lapsed: bool = False

    def note(self, why: str, now: float) -> None:
        """Note that it failed."""
        if self.open and now < self.again_at:
            return  # another of the same command's
        self.since = self.since if self.times else now
        self.times += 1
        self.lapsed, self.noted_at = False, now
        self.again_at = now + self.pauses.pause_s(self.times)
        self.why = " ".join(why.split())[-MAX_CHARACTERS:]

    def clear(self) -> None:
        """Note that it answered."""
        self.times, self.lapsed = 0, False

    def lapse(self, now: float) -> None:
        """Note that nothing is left to ask it: after a while the next work finds out."""
        held = FAULT_S if self.times >= IN_A_ROW else 0.0
        if self.times and now >= max(self.again_at, self.noted_at + held):
            self.lapsed = True

    @property
    def open(self) -> bool:
        """Whether it failed when it was last asked."""
        return self.times > 0 and not self.lapsed

    def proven(self, now: float) -> bool:
        """Whether that is no passing trouble."""
        return self.open and self.times >= IN_A_ROW and now - self.since >= self.patience_s

    def describe(self, now: float) -> str:
        """What the site suffers from, in words."""
        minutes = max(1, round((now - self.since) / 60))
        return f"{self.program} {self.what} for {minutes} min there: {self.why}"
