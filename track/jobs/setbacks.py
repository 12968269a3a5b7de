"""Setbacks: a try that ended without success, and what its job does then."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from track.jobs.locked import LockedJob
from track.schema.states import State

MAX_DOUBLINGS = 20

BACKOFF_S = 10.0
"""Delay before the first repetition; doubled with each further try, at most an hour."""


@dataclass(frozen=True)
class Consequence:
    """Where a job goes, and the columns it gets; `pause_s`: seconds until it may be claimed."""

    new: State
    why: str
    values: tuple[tuple[str, Any], ...] = ()
    pause_s: float | None = None


@dataclass(frozen=True)
class Setback:
    """Why a try ended without success, and what that costs its job.

    Cancelled when that was asked for, failed when its tries are used up, else ready
    after `delay_s` (default: backing off). `uses_try` is False for what is not the
    job's own failure: our crash, a degraded site, a full queue, a lost answer. What came
    back is finished: a cancel does not reach it any more.

    `grows_to_s`: the pause doubles with each time in a row, up to this, and the job's reason
    says when it is tried again. A success, or a person who resubmits it, ends the row.
    `free`: after so many in a row each time uses a try, so that in the end a person decides.
    """

    why: str
    uses_try: bool = False
    delay_s: float | None = None
    grows_to_s: float | None = None
    free: int | None = None

    def consequence(self, now: LockedJob) -> Consequence:
        """What it comes to for a job as it stands."""
        uses_try = self.uses_try or (self.free is not None and now.pauses >= self.free)
        if now.cancel_requested and now.state != State.RETURNED:
            return Consequence(State.CANCELLED, self.why)
        tries = now.tries + uses_try
        values = (("tries", tries),)
        if uses_try and tries > now.retries:
            return Consequence(State.FAILED, self.why, values)
        pause_s = self.delay_s
        if pause_s is None:
            pause_s = min(3600.0, BACKOFF_S * 2.0 ** max(0, tries - 1))
        if self.grows_to_s is None:
            return Consequence(State.READY, self.why, values, pause_s)
        why = self.why
        if now.pauses:
            why = f"{why}; put off {now.pauses + 1} times in a row by now"
        pause_s = min(
            max(self.grows_to_s, pause_s), pause_s * 2.0 ** min(now.pauses, MAX_DOUBLINGS)
        )
        again = (now.at + timedelta(seconds=pause_s)).astimezone()
        why = f"{why}; it is tried again at {again:%H:%M:%S}"
        return Consequence(State.READY, why, (*values, ("pauses", now.pauses + 1)), pause_s)
