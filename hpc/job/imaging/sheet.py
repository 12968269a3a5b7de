"""The sheet of paper a specimen is mounted on, against the table it lies on.

Judged from a small copy: the paper's colour is the commonest even one in the middle, the
table's the commonest at the border; the sheet is the largest piece on the paper's side of
halfway between them. Its four sides are lines fitted to where it begins and ends, so that
what overhangs it or lies across its edge does not move them.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from hpc.job.imaging.picture import Rgb

LEAST_CONTRAST = 14.0
"""Of 255 between paper and table; less may be shading."""
NEAR = 22.0
"""Of 255: as far from the paper's colour as paper gets, where no table shows at the border."""
LEAST_SHARE = 0.15
"""Of the frame; a smaller piece of paper is a label."""
LEAST_FILL = 0.6
"""Of its rectangle: plants and labels cover the rest."""
MOST_ANGLE = 12.0

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sheet:
    """`box` around it, in pixels of what was looked at; `angle` in degrees, clockwise.

    `mask`: the pixels that are paper. `table`: the colour around it, None where none shows.
    """

    box: Box
    angle: float
    confidence: float
    mask: Mask
    table: Floats | None


def find_sheet(rgb: Rgb) -> Sheet | None:
    """The sheet; None when it fills the frame, or cannot be told from the table."""
    pixels = rgb.astype(np.float32)
    paper = _commonest(pixels, _middle(rgb.shape))
    table = _commonest(pixels, _border(rgb.shape))
    away = table - paper
    contrast = float(np.abs(away).max())
    visible = contrast >= LEAST_CONTRAST
    if visible:
        share = ((pixels - paper) @ away) / float(away @ away)
        mask = _largest(share < 0.5)
    else:
        mask = _largest(np.abs(pixels - paper).max(axis=2) < NEAR)
    if mask is None or mask.mean() < LEAST_SHARE:
        return None
    sides = _sides(mask)
    if sides is None:
        return None
    box, angle = _rectangle(sides, mask.shape)
    free = _free_sides(box, mask.shape)
    if not free:
        return None
    fill = float(mask[box[1] : box[1] + box[3], box[0] : box[0] + box[2]].mean())
    if fill < LEAST_FILL:
        return None
    sure = min(1.0, contrast / 60.0) if visible else 0.5
    confidence = round(sure * min(1.0, fill + 0.2) * (0.6 + 0.1 * free), 3)
    return Sheet(box, round(angle, 2), confidence, mask, table if visible else None)


def _commonest(pixels: NDArray[np.float32], where: Mask) -> Floats:
    """The commonest colour there, to a few levels, among what is even rather than drawn."""
    chosen = pixels[where]
    coarse = (chosen // 16).astype(np.int64) @ np.array([256, 16, 1])
    cells = np.bincount(coarse, minlength=4096).reshape(16, 16, 16)
    # Neighbouring cells count too, for a colour that lies on a boundary.
    padded = np.pad(cells, 1)
    around = sum(
        padded[r : r + 16, g : g + 16, b : b + 16]
        for r in range(3)
        for g in range(3)
        for b in range(3)
    )
    best = np.array(np.unravel_index(int(np.argmax(around)), cells.shape))
    near = np.abs(chosen // 16 - best).max(axis=1) <= 1
    return np.asarray(np.median(chosen[near], axis=0), dtype=np.float64)


def _middle(shape: tuple[int, ...]) -> Mask:
    where = np.zeros(shape[:2], dtype=bool)
    where[shape[0] // 6 : -shape[0] // 6 or None, shape[1] // 6 : -shape[1] // 6 or None] = True
    return where


def _border(shape: tuple[int, ...]) -> Mask:
    depth = max(2, round(0.012 * min(shape[:2])))
    where = np.ones(shape[:2], dtype=bool)
    where[depth:-depth, depth:-depth] = False
    return where


def _largest(mask: Mask) -> Mask | None:
    """The largest connected piece of it."""
    if not mask.any():
        return None
    labels: Any = pyvips.Image.new_from_array(mask.astype(np.uint8)).labelregions().numpy()
    labels = labels.reshape(mask.shape)
    sizes = np.bincount(labels[mask])
    largest: Mask = mask & (labels == int(np.argmax(sizes)))
    return largest


def _sides(mask: Mask) -> dict[str, tuple[float, float]] | None:
    """Each side as (slope, offset): x over y for left and right, y over x for the others."""
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


def _fitted(along: NDArray[np.intp], across: NDArray[np.intp]) -> tuple[float, float]:
    """A line that most points lie on: the median slope of pairs far apart, then offset."""
    half = along.size // 2
    slopes = (across[half : 2 * half] - across[:half]) / (along[half : 2 * half] - along[:half])
    slope = float(np.median(slopes))
    if abs(slope) > math.tan(math.radians(MOST_ANGLE)):
        slope = 0.0
    return slope, float(np.median(across - slope * along))


def _rectangle(sides: dict[str, tuple[float, float]], shape: tuple[int, ...]) -> tuple[Box, float]:
    """The box around the four corners, within the frame; and by how much it is turned."""
    corners = [
        _crossing(sides[upright], sides[level])
        for upright in ("left", "right")
        for level in ("top", "bottom")
    ]
    xs, ys = zip(*corners, strict=True)
    left, top = max(0, math.floor(min(xs) + 0.5)), max(0, math.floor(min(ys) + 0.5))
    right, bottom = min(shape[1], round(max(xs))), min(shape[0], round(max(ys)))
    # A side at the frame's own edge says nothing about the angle.
    slopes = [
        sign * sides[name][0]
        for name, sign, at, end in (
            ("left", -1, left, 0),
            ("right", -1, right, shape[1]),
            ("top", 1, top, 0),
            ("bottom", 1, bottom, shape[0]),
        )
        if abs(at - end) > 2
    ]
    angle = math.degrees(math.atan(float(np.median(slopes)))) if slopes else 0.0
    return (left, top, max(1, right - left), max(1, bottom - top)), angle


def _crossing(upright: tuple[float, float], level: tuple[float, float]) -> tuple[float, float]:
    """Where x = a y + b and y = c x + d meet."""
    (a, b), (c, d) = upright, level
    x = (a * d + b) / (1 - a * c)
    return x, c * x + d


def _free_sides(box: Box, shape: tuple[int, ...]) -> int:
    """How many sides lie inside the frame."""
    gaps = (box[0], box[1], shape[1] - box[0] - box[2], shape[0] - box[1] - box[3])
    return sum(gap > 2 for gap in gaps)
