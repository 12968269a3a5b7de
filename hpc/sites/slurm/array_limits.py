"""What a site's answers taught of one stage: how large its arrays may be, and when to ask again.

Remembered as long as the driver lives; another one learns it anew with a few submissions.
"""

from dataclasses import dataclass

from schemas.backoff import Backoff

PAUSES = Backoff(15.0, 300.0)
WIDER_AFTER_S = 600.0
"""Limits are raised and queues empty: after so long a larger array is tried again."""

WIDEST = 20_000


@dataclass
class Learnt:
    """Of one stage. `size` is its largest array (None: what the site allows, 0: no array, each
    job alone); it rests `until` then after `times` refusals in a row."""

    size: int | None = None
    narrowed_at: float = 0.0
    times: int = 0
    until: float = 0.0

    def narrow(self, refused: int, least: int, now: float) -> None:
        """An array of so many was too large; `least` is the smallest that may be tried."""
        half = max(least, refused // 2)
        self.size = half if self.size is None else min(self.size, half)
        self.narrowed_at = now

    def refused(self, now: float) -> None:
        """The site did not take it: it rests, longer each time."""
        if self.times and now < self.until:
            return  # another of the same command's
        self.times += 1
        self.until = now + PAUSES.pause_s(self.times)

    def taken(self, now: float) -> None:
        """The site took what was sent."""
        self.times, self.until = 0, 0.0
        if self.size is not None and now - self.narrowed_at >= WIDER_AFTER_S:
            wider = max(1, 2 * self.size)
            self.size, self.narrowed_at = (wider if wider < WIDEST else None), now
