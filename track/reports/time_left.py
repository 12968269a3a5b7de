"""How long a session will still take, as far as that can honestly be told.

The slowest stage decides. Its pace is that of its own ends within the last hour, counted from the
first of them, so that a stage that began a moment ago is not taken for a slow one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from track.reports.one_session import SessionStage
from track.reports.sessions import SessionState

ENOUGH = 5
"""Ends of a stage from which on its pace can be told."""
MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True)
class TimeLeft:
    """`seconds` until all is done that needs no person; None where that cannot be told, and `why`.

    `is_least`: a stage of which too little has ended may take longer still; `why` names it.
    """

    seconds: float | None
    is_least: bool = False
    why: str = ""

    def sentence(self) -> str:
        """The same for a person."""
        if self.seconds is None or (self.is_least and self.seconds < 5 * MINUTE):
            return f"cannot be told yet: {self.why}"
        if self.seconds < 5 * MINUTE:
            return "less than 5 min"
        rounded = _rounded(self.seconds)
        return f"at least {rounded}: {self.why}" if self.is_least else f"about {rounded}"


def time_left(state: str, stages: Sequence[SessionStage]) -> TimeLeft | None:
    """How long a session in this state will take; None: nothing is to come by itself."""
    coming = [each for each in stages if each.to_come]
    if not coming or state == SessionState.FINISHED:
        return (
            None if state != SessionState.READ else TimeLeft(None, why="its folder is being read")
        )
    if state != SessionState.UNDER_WAY:
        return TimeLeft(None, why="nobody is at it just now")
    paces = [(each, _pace(each)) for each in coming]
    lasting = [each.to_come / pace for each, pace in paces if pace is not None]
    if not lasting:
        return TimeLeft(None, why="too little has been done within the last hour")
    longest = max(lasting)
    silent = [each.stage for each, pace in paces if pace is None]
    why = f"of {', '.join(silent)} too little has been done to tell" if silent else ""
    return TimeLeft(longest, bool(silent), why)


def _pace(stage: SessionStage) -> float | None:
    """Ends a second; None while too few are known, or all of them came at one moment."""
    if stage.ended < ENOUGH or stage.ended_from is None:
        return None
    seconds = (stage.at - stage.ended_from).total_seconds()
    return (stage.ended - 1) / seconds if seconds > 0 else None


def _rounded(seconds: float) -> str:
    """In steps that promise no more than is known."""
    if seconds < 55 * MINUTE:
        return f"{round(seconds / (5 * MINUTE)) * 5:.0f} min"
    if seconds < 36 * HOUR:
        halves = round(seconds / (HOUR / 2)) / 2
        return f"{halves:g} h"
    return f"{round(seconds / DAY):.0f} days"
