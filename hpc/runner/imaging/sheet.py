"""The sheet of paper a specimen is mounted on, against the table it lies on.

Judged from a small copy: the paper's colour is the commonest even one in the middle, the
table's the commonest at the border; the sheet is the largest piece on the paper's side of
halfway between them. Its four sides are lines fitted to where it begins and ends, so that
what overhangs it or lies across its edge does not move them.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpc.runner.imaging.masks import Mask, border_of, pieces, sums_around
from hpc.runner.imaging.picture import Rgb
from hpc.runner.imaging.rectangle import Box, Point, Rectangle, rectangle_through

MIN_CONTRAST = 14.0
"""Of 255 between paper and table; less may be shading."""
NEAR = (8.0, 12.0, 18.0, 26.0, 38.0)
"""Of 255: how far from the paper's colour paper may be, where the table's colour is no help."""
DOUBTFUL = 0.6
MIN_SIDE = 24
MIN_SUPPORT = 0.5
"""Of the ends of rows or columns of paper that lie on the line fitted to them."""
MIN_SHARE = 0.15
"""Of the frame; a smaller piece of paper is a label."""
MIN_FILL = 0.3
"""Of its rectangle: plants and framed labels, which part the paper, cover the rest."""
MAX_ANGLE = 12.0
MAX_OFF_LINE = 2.0
"""Pixels from a side's line; ends further off are plants that overhang, or tears."""
MIN_GAP = 2
"""Pixels between a side and the frame's own edge: nearer, the frame cuts the sheet there."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sheet:
    """`outline`, and the upright `box` around it, in pixels of the copy that was judged.

    `table`: the colour around it, None where none shows.
    """

    outline: Rectangle
    box: Box
    confidence: float
    table: Floats | None


def find_sheet(rgb: Rgb) -> Sheet | None:
    """The sheet; None when it fills the frame, or cannot be told from what is around it."""
    if min(rgb.shape[:2]) < MIN_SIDE:
        return None
    pixels = rgb.astype(np.float32)
    rows, columns = (slice(side // 6, -side // 6 or None) for side in rgb.shape[:2])
    paper = commonest(pixels[rows, columns].reshape(-1, 3))
    table = commonest(pixels[border_of(rgb.shape, 0.012)])
    contrast = float(np.abs(table - paper).max())
    found = []
    if contrast >= MIN_CONTRAST:
        share = ((pixels - paper) @ (table - paper)) / float((table - paper) @ (table - paper))
        found.append(_sheet_of(share < 0.5, min(1.0, contrast / 60.0), table))
    away = np.abs(pixels - paper).max(axis=2)
    found += [_sheet_of(away < near, DOUBTFUL, None) for near in NEAR]
    sheets = [sheet for sheet in found if sheet is not None]
    return max(sheets, key=lambda sheet: sheet.confidence, default=None)


def _sheet_of(paper_like: Mask, sure: float, table: Floats | None) -> Sheet | None:
    """The sheet of which these pixels are; None when they do not make one."""
    mask = _largest(paper_like)
    if mask.mean() < MIN_SHARE:
        return None
    sides = _sides(mask)
    if sides is None:
        return None
    outline = _outline(sides, mask.shape)
    box = outline.box(mask.shape[1], mask.shape[0])
    free = sum(gap > MIN_GAP for gap in box.gaps(mask.shape))
    support = min(side.support for side in sides.values())
    fill = float(mask[box.pixels()].mean())
    if free < (1 if table is not None else 2) or support < MIN_SUPPORT or fill < MIN_FILL:
        return None
    confidence = sure * min(1.0, fill + 0.4) * min(1.0, support + 0.3) * (0.6 + 0.1 * free)
    return Sheet(outline, box, round(confidence, 3), table)


def commonest(chosen: NDArray[np.float32]) -> Floats:
    """The commonest colour of these pixels, to a few levels."""
    coarse = (chosen // 16).astype(np.int64) @ np.array([256, 16, 1])
    cells = np.bincount(coarse, minlength=4096).reshape(16, 16, 16)
    # Neighbouring cells count too, for a colour that lies on a boundary.
    best = np.array(np.unravel_index(int(np.argmax(sums_around(cells))), cells.shape))
    near = np.abs(chosen // 16 - best).max(axis=1) <= 1
    return np.asarray(np.median(chosen[near], axis=0), dtype=np.float64)


def _largest(mask: Mask) -> Mask:
    """The largest connected piece of it."""
    _, areas, piece = pieces(mask)
    largest = np.zeros_like(mask)
    largest[mask] = piece == np.argmax(areas) if areas.size else False
    return largest


@dataclass(frozen=True)
class _Side:
    """A line: x = slope y + offset for left and right, y = slope x + offset for the others.

    `support` is the share of the mask's ends that lie on it, within two pixels.
    """

    slope: float
    offset: float
    support: float


def _sides(mask: Mask) -> dict[str, _Side] | None:
    """The four sides by name; None when the mask has no width to speak of."""
    found = {}
    for name, turned in (("left", mask), ("top", mask.T)):
        lines = np.flatnonzero(turned.mean(axis=1) > 0.3 * np.quantile(turned.mean(axis=1), 0.9))
        if lines.size < 20:
            return None
        first = np.argmax(turned[lines], axis=1)
        last = turned.shape[1] - np.argmax(turned[lines][:, ::-1], axis=1)
        found[name] = _fitted(lines, first)
        found["right" if name == "left" else "bottom"] = _fitted(lines, last)
    return found


def _fitted(along: NDArray[np.intp], across: NDArray[np.intp]) -> _Side:
    """A line that most points lie on: the median slope of pairs far apart, then the line
    nearest to the points that lie on it, since medians of whole pixels are coarse."""
    half = along.size // 2
    slopes = (across[half : 2 * half] - across[:half]) / (along[half : 2 * half] - along[:half])
    slope = float(np.median(slopes))
    if abs(slope) > math.tan(math.radians(MAX_ANGLE)):
        slope = 0.0
    strays = across - slope * along
    offset = float(np.median(strays))
    on_it = np.abs(strays - offset) <= MAX_OFF_LINE
    if on_it.sum() > 2:
        slope, offset = (float(value) for value in np.polyfit(along[on_it], across[on_it], 1))
    return _Side(slope, offset, float(on_it.mean()))


def _outline(sides: dict[str, _Side], shape: tuple[int, ...]) -> Rectangle:
    """The rectangle between the four lines, turned as those that lie inside the frame."""
    places = (("left", "top"), ("right", "top"), ("right", "bottom"), ("left", "bottom"))
    corners = [_crossing(sides[upright], sides[level]) for upright, level in places]
    xs, ys = zip(*corners, strict=True)
    # A side at the frame's own edge has not the sheet's angle.
    gaps = {"left": min(xs), "right": shape[1] - max(xs)}
    slopes = [-sides[name].slope for name, gap in gaps.items() if abs(gap) > MIN_GAP]
    gaps = {"top": min(ys), "bottom": shape[0] - max(ys)}
    slopes += [sides[name].slope for name, gap in gaps.items() if abs(gap) > MIN_GAP]
    angle = math.degrees(math.atan(float(np.median(slopes)))) if slopes else 0.0
    return rectangle_through(corners, angle)


def _crossing(upright: _Side, level: _Side) -> Point:
    """Where the two lines meet."""
    x = (upright.slope * level.offset + upright.offset) / (1 - upright.slope * level.slope)
    return x, level.slope * x + level.offset
