"""Which lines that stand near each other are of one label: labels often lie edge to edge.

Lines left and right of a gap are of two labels when something runs down the gap from top to
bottom (the paper's edge, its shadow, the ground between), or when the lines of the two sides
stand at other heights. Columns of one label, a form's, stand in rows on one piece of paper.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

import numpy as np

from hpc.runner.imaging.picture import Grey
from hpc.runner.imaging.rectangle import Box

T = TypeVar("T")

EDGE = 24
"""Of 255: how far the paper's edge or what is between two papers differs from them."""
ALONG = 0.8
"""Share of the gap's rows in which it does; a stroke of writing crosses a few only."""
SMOOTH = 3
"""Pixels averaged along a row, so that the grain of paper is no edge."""
APART = 0.5
"""Times the height of a line: a gap that parts lines that stand at other heights."""
SAME_ROW = 0.3
"""Times the height of a line: how far apart the middles of one row may be."""


@dataclass(frozen=True)
class Gap:
    """An empty column between lines: from `left` to `right`, beside both from `top` to `bottom`."""

    left: int
    right: int
    top: int
    bottom: int


def blocks(lines: Sequence[T], box_of: Callable[[T], Box], grey: Grey) -> list[list[T]]:
    """The lines of each label among `lines`, whose boxes are in pixels of `grey`.

    From the left, what is above before what is below; the order within a label stays.
    """
    parts = _cut_down(lines, box_of, grey)
    if parts is not None:
        return [block for part in parts for block in blocks(part, box_of, grey)]
    by_row = sorted(lines, key=lambda line: _middle(box_of(line)))
    for left_out in range(1, len(by_row) - 1):
        for above, below in (
            (by_row[:-left_out], by_row[-left_out:]),
            (by_row[:left_out], by_row[left_out:]),
        ):
            if _cut_down(max(above, below, key=len), box_of, grey) is not None:
                parts = [[line for line in lines if line in half] for half in (above, below)]
                return [block for part in parts for block in blocks(part, box_of, grey)]
    return [list(lines)]


def _cut_down(lines: Sequence[T], box_of: Callable[[T], Box], grey: Grey) -> list[list[T]] | None:
    """The lines left and right of a gap that parts two labels; None: there is none."""
    edge = 0
    for line in sorted(lines, key=lambda line: box_of(line)[0]):
        start = box_of(line)[0]
        if edge and start > edge:
            left = [other for other in lines if box_of(other)[0] < start]
            right = [other for other in lines if box_of(other)[0] >= start]
            boxes = [box_of(other) for other in left], [box_of(other) for other in right]
            if _parted(*boxes, edge, start, grey):
                return [left, right]
        edge = max(edge, start + box_of(line)[2])
    return None


def _parted(left: list[Box], right: list[Box], edge: int, start: int, grey: Grey) -> bool:
    """Whether two labels meet between `edge` and `start`."""
    top = max(min(box[1] for box in side) for side in (left, right))
    bottom = min(max(box[1] + box[3] for box in side) for side in (left, right))
    if bottom <= top:
        return False  # the one is above the other: nothing lies beside anything
    height = median(box[3] for box in (*left, *right))
    if min(len(left), len(right)) > 1 and start - edge > APART * height:
        rows = [_middle(box) for box in right]
        alone = sum(
            all(abs(_middle(box) - row) > SAME_ROW * height for row in rows) for box in left
        )
        if 2 * alone > len(left):
            return True
    return _something_runs_down(Gap(edge, start, top, bottom), grey)


def _something_runs_down(gap: Gap, grey: Grey) -> bool:
    """Whether nearly every row of the gap is crossed by what is not the paper."""
    strip = grey[max(0, gap.top) : gap.bottom, gap.left : gap.right].astype(np.float32)
    if strip.shape[0] < 2 or strip.shape[1] < SMOOTH + 1:
        return False
    sums = np.cumsum(np.pad(strip, ((0, 0), (1, 0))), axis=1)
    smooth = (sums[:, SMOOTH:] - sums[:, :-SMOOTH]) / SMOOTH
    crossed = smooth.max(axis=1) - smooth.min(axis=1) >= EDGE
    return bool(crossed.mean() >= ALONG)


def _middle(box: Box) -> float:
    return box[1] + box[3] / 2
