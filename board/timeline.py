"""A specimen's stages over time, as rows of a drawing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from track.reports.life import SpecimenLife, StageLife

WIDTH = 1000.0
"""Units of the drawing from the first moment to the last."""

LEAST = 3.0
"""Units of the shortest part, so that it can be seen."""

PHASES = {
    "waiting": "waits",
    "ready": "is ready",
    "claimed": "in hand",
    "queued": "in a site's queue",
    "running": "runs at a site",
    "returned": "came back",
    "failed": "failed",
    "cancelled": "cancelled",
}


@dataclass(frozen=True)
class Phase:
    """A time in one state, drawn from `x` with `width`; `seconds` it took."""

    state: str
    begun: datetime
    seconds: float
    x: float
    width: float

    @property
    def words(self) -> str:
        """The state in words."""
        return PHASES.get(self.state, self.state)


@dataclass(frozen=True)
class StageBar:
    """One stage: its phases, and how long it was worked on and how long it waited, in seconds."""

    life: StageLife
    phases: Sequence[Phase]
    worked: float
    waited: float


@dataclass(frozen=True)
class Timeline:
    """The stages, and the first and last moment of the drawing."""

    begin: datetime
    end: datetime
    rows: Sequence[StageBar]

    @property
    def seconds(self) -> float:
        """From its first to its last moment."""
        return (self.end - self.begin).total_seconds()


def timeline_of(life: SpecimenLife, now: datetime | None = None) -> Timeline:
    """What history says of each stage; a stage that is not over is drawn until now."""
    now = now or datetime.now(UTC)
    begin = life.asset.created_at
    moments = [row.at for stage in life.stages for row in stage.moves]
    open_ = any(stage.ended_at is None and stage.job.state != "absent" for stage in life.stages)
    end = max([begin, *moments, *([now] if open_ else [])], default=begin)
    end = max(end, begin + timedelta(seconds=1))
    rows = [_row(stage, begin, end) for stage in life.stages]
    return Timeline(begin, end, rows)


def _row(stage: StageLife, begin: datetime, end: datetime) -> StageBar:
    units = WIDTH / (end - begin).total_seconds()
    phases = []
    for number, move in enumerate(stage.moves):
        over = number + 1 == len(stage.moves)
        until = end if over else stage.moves[number + 1].at
        if move.new in ("done", "excluded", "absent") or (over and stage.ended_at is not None):
            continue
        seconds = max(0.0, (until - move.at).total_seconds())
        x = (move.at - begin).total_seconds() * units
        width = max(LEAST, seconds * units)
        phases.append(Phase(move.new, move.at, seconds, min(x, WIDTH - width), width))
    idle = ("waiting", "ready", "failed", "cancelled")
    worked = sum(each.seconds for each in phases if each.state not in (*idle, "queued"))
    waited = sum(each.seconds for each in phases if each.state in ("ready", "queued"))
    return StageBar(stage, phases, worked, waited)
