"""How long to wait after something failed, before it is tried again."""

from dataclasses import dataclass

MAX_DOUBLINGS = 30
"""Enough for any pause, and no number too large for a float."""


@dataclass(frozen=True)
class Backoff:
    """A pause that doubles with each failure in a row, from `first_s` to `longest_s` seconds."""

    first_s: float
    longest_s: float

    def pause_s(self, failures: int) -> float:
        """The pause in seconds after so many failures in a row, the first being number 1."""
        return min(self.longest_s, self.first_s * 2.0 ** min(max(0, failures - 1), MAX_DOUBLINGS))
