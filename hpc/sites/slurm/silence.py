"""Programs of a scheduler that give no answer, or refuse all, though the login node answers."""

from dataclasses import dataclass

from hpc.sites.faults import FAULT_S
from schemas.backoff import Backoff

SILENCES = 3
SILENT_AFTER_S = 30.0
PAUSES = Backoff(1.0, 300.0)
MAX_CHARACTERS = 300


@dataclass
class Silence:
    """A program of the scheduler's that gives no answer: how often, since when, its last words.

    It is asked again after one of the growing `pauses`. When it was silent often, and for longer
    than `patience_s`, the site cannot work; `does` says in words what the program does.
    """

    program: str
    does: str = "has had no answer"
    pauses: Backoff = PAUSES
    patience_s: float = SILENT_AFTER_S
    times: int = 0
    since: float = 0.0
    noted_at: float = 0.0
    again_at: float = 0.0
    why: str = ""
    lapsed: bool = False

    def note(self, why: str, now: float) -> None:
        """Note that it gave no answer."""
        if self.times and not self.lapsed and now < self.again_at:
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
        held = FAULT_S if self.times >= SILENCES else 0.0
        if self.times and now >= max(self.again_at, self.noted_at + held):
            self.lapsed = True

    @property
    def open(self) -> bool:
        """Whether it is silent, or was when it was last asked."""
        return self.times > 0 and not self.lapsed

    def proven(self, now: float) -> bool:
        """Whether that is no passing trouble."""
        return self.open and self.times >= SILENCES and now - self.since >= self.patience_s

    def told(self, now: float) -> str:
        """What the site is said to suffer from."""
        minutes = max(1, round((now - self.since) / 60))
        return f"{self.program} {self.does} for {minutes} min there: {self.why}"
