"""Which lines that stand near each other are of one label: labels often lie edge to edge.

Lines left and right of a gap are of two labels when something runs down the gap from top to
bottom (the paper's edge, its shadow, the ground between), or when the lines of the two sides
stand at other heights. Columns of one label, a form's, stand in rows on one piece of paper.
"""

from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeVar

import numpy as np

from hpc.runner.imaging.picture import Grey
from hpc.runner.imaging.rectangle import Box, box_around, box_between

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


def blocks(lines: Sequence[T], box_of: Callable[[T], Box], grey: Grey) -> list[list[T]]:
    """The lines of each label among `lines`, whose boxes are in pixels of `grey`.

    From the left, what is above before what is below; the order within a label stays.
    """
    parts = _parted(lines, box_of, grey)
    if parts is not None:
        return [block for part in parts for block in blocks(part, box_of, grey)]
    by_row = sorted(lines, key=lambda line: box_of(line).centre[1])
    for left_out in range(1, len(by_row) - 1):
        for above, below in (
            (by_row[:-left_out], by_row[-left_out:]),
            (by_row[:left_out], by_row[left_out:]),
        ):
            if _parted(max(above, below, key=len), box_of, grey) is not None:
                parts = [[line for line in lines if line in half] for half in (above, below)]
                return [block for part in parts for block in blocks(part, box_of, grey)]
    return [list(lines)]


def _parted(lines: Sequence[T], box_of: Callable[[T], Box], grey: Grey) -> list[list[T]] | None:
    """The lines left and right of a gap that parts two labels; None: there is none."""
    edge = 0
    for line in sorted(lines, key=lambda line: box_of(line).x):
        start = box_of(line).x
        if edge and start > edge:
            left = [other for other in lines if box_of(other).x < start]
            right = [other for other in lines if box_of(other).x >= start]
            if _are_two_labels([*map(box_of, left)], [*map(box_of, right)], grey):
                return [left, right]
        edge = max(edge, box_of(line).right)
    return None


def _are_two_labels(left: list[Box], right: list[Box], grey: Grey) -> bool:
    """Whether two labels meet in the gap between these lines."""
    all_left, all_right = box_around(left), box_around(right)
    top, bottom = max(all_left.y, all_right.y), min(all_left.bottom, all_right.bottom)
    if bottom <= top:
        return False  # the one is above the other: nothing lies side by side
    height = median(box.height for box in (*left, *right))
    if min(len(left), len(right)) > 1 and all_right.x - all_left.right > APART * height:
        rows = [box.centre[1] for box in right]
        alone = sum(
            all(abs(box.centre[1] - row) > SAME_ROW * height for row in rows) for box in left
        )
        if 2 * alone > len(left):
            return True
    return _something_runs_down(box_between(all_left.right, top, all_right.x, bottom), grey)


def _something_runs_down(gap: Box, grey: Grey) -> bool:
    """Whether nearly every row of the gap is crossed by what is not the paper."""
    strip = grey[gap.pixels()].astype(np.float32)
    if strip.shape[0] < 2 or strip.shape[1] < SMOOTH + 1:
        return False
    sums = np.cumsum(np.pad(strip, ((0, 0), (1, 0))), axis=1)
    smooth = (sums[:, SMOOTH:] - sums[:, :-SMOOTH]) / SMOOTH
    crossed = smooth.max(axis=1) - smooth.min(axis=1) >= EDGE
    return bool(crossed.mean() >= ALONG)
