"""How many pixels an inch are, read off a millimetre ruler next to the specimen.

Along each line of the image, both ways, dark strokes at equal distances are looked for: at
least twenty in a row, thinner than the gaps. Lines that agree within 2 % are a ruler, and
its longer strokes must not show that it is divided in something else than millimetres.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpc.runner.imaging.picture import MAX_PIXELS, Grey, as_grey, image_errors, open_image, plain

MM_PER_INCH = 25.4
MIN_TICKS = 20
MAX_SPREAD = 0.02
MIN_LINES = 3
"""Averaged lines that must show the same ruler: a row of letters or of holes shows on one."""
TOGETHER = 6
"""Rows or columns that are averaged to one line: the shortest ticks are some 15 pixels long."""
REACH = 32
"""Pixels either side of which the mean is what a stroke must be darker than."""
MIN_DEPTH = 10.0
MAX_DUTY = 0.42
"""Share of the pitch a stroke may fill; bars of test targets and checks fill half."""
PITCHES_PX = (3.0, 120.0)
MIN_IN_STEP = 0.8
"""Of the longer strokes; glare may lengthen or hide one."""
LINES_AT_ONCE = 128

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ruler:
    """`ppi` of the image; `spread` of the lines' answers, relative; `ticks` seen in a row."""

    ppi: float
    spread: float
    ticks: int


@dataclass(frozen=True)
class _Row:
    """Equally spaced strokes along one line: centres in pixels along it."""

    line: int
    centres: Floats
    pitch: float


def read_ruler(path: Path, max_pixels: int = MAX_PIXELS) -> Ruler | None:
    """The ruler in an image; None when there is none or its unit is doubtful.

    Memory stays a sixth of the image in grey. Raises BadInput, Transient.
    """
    rulers = []
    for upright in (False, True):
        image = open_image(path, max_pixels)
        with image_errors(path):
            grey = plain(image).colourspace("b-w")
            if upright:
                lines = as_grey(grey.shrinkh(min(TOGETHER, grey.width))).T
            else:
                lines = as_grey(grey.shrinkv(min(TOGETHER, grey.height)))
        rulers += [found for shown in (lines, ~lines) if (found := _ruler_along(shown))]
    return max(rulers, key=lambda ruler: ruler.ticks, default=None)


def _ruler_along(lines: Grey) -> Ruler | None:
    """The ruler whose dark strokes stand across these lines."""
    rows = [
        row
        for first in range(0, lines.shape[0], LINES_AT_ONCE)
        for row in _rows_of(lines[first : first + LINES_AT_ONCE], first)
    ]
    if not rows:
        return None
    best = max(rows, key=lambda row: row.centres.size)
    same = [row for row in rows if abs(row.pitch / best.pitch - 1) < 3 * MAX_SPREAD]
    pitches = np.array([row.pitch for row in same])
    spread = float(pitches.std() / pitches.mean())
    if len(same) < MIN_LINES or spread >= MAX_SPREAD or not _in_millimetres(lines, best):
        return None
    ppi = float(np.median(pitches)) * MM_PER_INCH
    return Ruler(round(ppi, 1), round(spread, 4), best.centres.size)


def _rows_of(lines: Grey, first: int) -> Iterator[_Row]:
    """Every run of twenty strokes or more at one pitch, in each of these lines."""
    starts, ends, line = _strokes(lines)
    if starts.size < MIN_TICKS:
        return
    centres, widths = (starts + ends) / 2, ends - starts
    steps = np.diff(centres)
    alike = np.abs(np.diff(steps)) < np.maximum(1.3, 0.12 * steps[1:])
    alike &= (line[2:] == line[:-2]) & (steps[1:] > PITCHES_PX[0]) & (steps[1:] < PITCHES_PX[1])
    edges = np.flatnonzero(np.diff(np.concatenate(([0], alike.astype(np.int8), [0]))))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if end - begin + 2 < MIN_TICKS:
            continue
        part = slice(begin, end + 2)
        places = np.arange(end - begin + 2)
        pitch, offset = np.polyfit(places, centres[part], 1)
        strays = centres[part] - (pitch * places + offset)
        even = strays.std() < 0.08 * pitch
        if even and np.median(widths[part]) < MAX_DUTY * pitch:
            yield _Row(first + int(line[begin]), centres[part], float(pitch))


def _strokes(lines: Grey) -> tuple[Floats, Floats, NDArray[np.intp]]:
    """Where what is darker than its surroundings begins and ends, to parts of a pixel."""
    depth = _means(lines) - lines - MIN_DEPTH
    dark = depth > 0
    dark[:, [0, -1]] = False
    line, at = np.nonzero(dark[:, 1:] != dark[:, :-1])
    before, after = depth[line, at], depth[line, at + 1]
    crossing = at + np.clip(before / np.where(before == after, 1.0, before - after), 0.0, 1.0)
    # Lines begin and end outside strokes, so crossings come in pairs of the same line.
    starts, ends = (crossing[first::2].astype(np.float64) for first in (0, 1))
    return starts, ends, line[::2]


def _means(lines: Grey) -> NDArray[np.float32]:
    """The mean of the pixels around each one, along its line."""
    width = lines.shape[1]
    sums = np.zeros((lines.shape[0], width + 1), dtype=np.float32)
    np.cumsum(lines, axis=1, out=sums[:, 1:])
    left = np.maximum(np.arange(width) - REACH, 0)
    right = np.minimum(np.arange(width) + REACH + 1, width)
    means: NDArray[np.float32] = (sums[:, right] - sums[:, left]) / (right - left)
    return means


def _in_millimetres(lines: Grey, row: _Row) -> bool:
    """Whether the longer strokes, if there are any, come every fifth or tenth.

    Every second, fourth or eighth: inches, or halves of a millimetre.
    """
    lengths = np.array([_length(lines, row.line, round(at), row.pitch) for at in row.centres])
    longer = np.flatnonzero(lengths > 1.2 * np.percentile(lengths, 25) + 1)
    if longer.size < 2:
        return bool(np.median(lengths) > 0)
    return bool(np.mean(np.diff(longer) % 5 == 0) >= MIN_IN_STEP)


def _length(lines: Grey, line: int, at: int, pitch: float) -> int:
    """For how many lines the stroke at this place goes on."""
    reach = max(1, round(0.3 * pitch))
    far = max(4, round(12 * pitch / TOGETHER))
    rows = slice(max(0, line - far), line + far + 1)
    middle = lines[rows, max(0, at - reach) : at + reach + 1].min(axis=1).astype(int)
    around = np.minimum(
        lines[rows, max(0, at - 2 * reach - 1)].astype(int),
        lines[rows, min(lines.shape[1] - 1, at + 2 * reach + 1)],
    )
    dark = middle < around - MIN_DEPTH
    here = min(line, far)
    gaps = np.flatnonzero(~dark)
    above, below = gaps[gaps < here], gaps[gaps > here]
    first = above[-1] + 1 if above.size else 0
    last = below[0] if below.size else dark.size
    return int(last - first) if dark[here] else 0
