"""Pictures that the server draws: where each bar, box and line lies, in the units of an SVG."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, log10

from track.reports.by_hour import Arrivals
from track.reports.stages import PipelineSeen, StageSeen

WIDTH, HEIGHT = 760, 240
LEFT, RIGHT, TOP, BOTTOM = 62, 10, 14, 36


@dataclass(frozen=True)
class DayBars:
    """The two bars of a day: their left edges, their width, and tops and heights."""

    day: date
    counts: Arrivals
    came_x: float
    archived_x: float
    width: float
    came_y: float
    came_height: float
    archived_y: float
    archived_height: float
    middle: float
    labelled: bool


@dataclass(frozen=True)
class BarChart:
    """A bar chart of days with its horizontal lines, each a number and where it lies."""

    width: int
    height: int
    left: int
    base: float
    right: float
    days: Sequence[DayBars]
    lines: Sequence[tuple[int, float]]


def day_chart(throughput: Sequence[tuple[date, Arrivals]]) -> BarChart:
    """Images that came and that were archived, side by side for each day."""
    top = nice_top(max((max(c.images, c.archived) for _, c in throughput), default=0))
    base = HEIGHT - BOTTOM
    per_unit = (base - TOP) / top
    step = (WIDTH - LEFT - RIGHT) / max(1, len(throughput))
    width = round(step * 0.36, 1)
    days = []
    for n, (day, counts) in enumerate(throughput):
        x = LEFT + n * step + step * 0.12
        came, archived = counts.images * per_unit, counts.archived * per_unit
        days.append(
            DayBars(
                day, counts, round(x, 1), round(x + width + 1, 1), width,
                round(base - came, 1), round(came, 1),
                round(base - archived, 1), round(archived, 1),
                round(x + width, 1), labelled=(len(throughput) - 1 - n) % 2 == 0,
            )
        )  # fmt: skip
    lines = [
        (round(top * part / 2), round(base - top * part / 2 * per_unit, 1)) for part in range(3)
    ]
    return BarChart(WIDTH, HEIGHT, LEFT, base, WIDTH - RIGHT, days, lines)


def nice_top(most: int) -> int:
    """The smallest round number that is not below the largest value and can be halved."""
    if most <= 10:
        return max(2, most + most % 2)
    unit: int = 10 ** int(log10(most))
    return next(unit * n for n in (1, 2, 3, 4, 5, 6, 8, 10) if unit * n >= most)


BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y = 190, 76, 56, 22


@dataclass(frozen=True)
class StageBox:
    """A stage and where it lies."""

    stage: StageSeen
    x: int
    y: int


@dataclass(frozen=True)
class EdgeLine:
    """A curve from one stage to the next, and what is said of it, if anything."""

    path: str
    words: str
    x: float
    y: float


@dataclass(frozen=True)
class StageGraph:
    """A pipeline drawn in columns: a stage stands right of all that it waits for."""

    width: int
    height: int
    boxes: Sequence[StageBox]
    edges: Sequence[EdgeLine]
    box_width: int = BOX_WIDTH
    box_height: int = BOX_HEIGHT


def stage_graph(pipeline: PipelineSeen) -> StageGraph:
    """Where the stages of a pipeline lie, and the lines of the edges between them.

    Edges from other pipelines have no line: the stage names them.
    """
    columns = _columns(pipeline.stages)
    rows: dict[int, int] = defaultdict(int)
    boxes = {}
    for stage in pipeline.stages:
        column = columns[stage.id]
        x = column * (BOX_WIDTH + GAP_X) + 2
        boxes[stage.id] = StageBox(stage, x, rows[column] * (BOX_HEIGHT + GAP_Y) + 2)
        rows[column] += 1
    edges = [
        _line(
            boxes[up.stage_id], boxes[stage.id], " · ".join(filter(None, (up.selector, up.accept)))
        )
        for stage in pipeline.stages
        for up in stage.upstream
        if up.stage_id in boxes
    ]
    width = max((box.x for box in boxes.values()), default=0) + BOX_WIDTH + 2
    height = max(rows.values(), default=1) * (BOX_HEIGHT + GAP_Y) - GAP_Y + 4
    return StageGraph(width, height, list(boxes.values()), edges)


def _columns(stages: Sequence[StageSeen]) -> dict[int, int]:
    """The column of each stage; they come in an order in which what is waited for is first."""
    found: dict[int, int] = {}
    for stage in stages:
        before = [found[up.stage_id] for up in stage.upstream if up.stage_id in found]
        found[stage.id] = max(before, default=-1) + 1
    return found


def _line(start: StageBox, end: StageBox, words: str) -> EdgeLine:
    x1, y1 = start.x + BOX_WIDTH, start.y + BOX_HEIGHT // 2
    x2, y2 = end.x, end.y + BOX_HEIGHT // 2
    bend = ceil(GAP_X / 2)
    # One that passes over columns runs beside them: its bends lie next to its ends.
    path = f"M{x1} {y1} C{x1 + bend} {y1} {x1 + bend // 2} {y2} {x1 + GAP_X} {y2} L{x2} {y2}"
    return EdgeLine(path, words, x1 + GAP_X / 2, min(y1, y2) - 4)
