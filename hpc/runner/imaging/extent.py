"""Where the specimen lies on its background, judged from a small copy of the image."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpc.runner.imaging.picture import Rgb
from hpc.runner.imaging.rectangle import Box

MIN_DISTANCE = 18.0
"""Of 255: what differs less from the background is shadow or grain."""
MAX_DISTANCE = 60.0
"""However motley the border (a ruler, a colour chart), this much is something else."""
MIN_AREA = 0.001
MAX_BORDER = 0.5


@dataclass(frozen=True)
class Extent:
    """`box` is x, y, width, height in pixels of what was looked at; None: could not tell."""

    box: Box | None
    confidence: float
    why: str


def find_extent(rgb: Rgb, but: Box | None = None) -> Extent:
    """The bounding box of all that differs from the background, the median of the border.

    What lies in `but` (a colour chart) is left out.

    Confidence (0 to 1) is how far it stands out, times how much of the border is free of
    it, times the share of the four sides it does not touch.
    """
    pixels = rgb.astype(np.int16)
    border = _border(pixels.shape[0], pixels.shape[1])
    background = np.median(pixels[border], axis=0)
    distance = np.abs(pixels - background).max(axis=2).astype(np.float64)
    # Grain of the background itself; the third quartile, since a specimen may touch an edge.
    grain = 3.0 * float(np.percentile(distance[border], 75))
    threshold = min(max(MIN_DISTANCE, grain), MAX_DISTANCE)
    mask = _without_specks(distance > threshold)
    if but is not None:
        x, y, width, height = but
        margin = max(width, height) // 8 + 2
        mask[max(0, y - margin) : y + height + margin, max(0, x - margin) : x + width + margin] = 0
    if mask.mean() < MIN_AREA:
        return Extent(None, 0.0, "nothing stands out from the background")
    touched = float(mask[border].mean())
    if touched > MAX_BORDER:
        return Extent(None, 0.0, "the border is not one background")
    rows, columns = _span(mask.sum(axis=1)), _span(mask.sum(axis=0))
    free = _free_sides(rows, columns, mask.shape)
    if not free:
        return Extent(None, 0.0, "something touches all four sides")
    contrast = 1.0 - threshold / float(np.median(distance[mask]))
    confidence = round(max(0.0, min(1.0, contrast)) * (1.0 - touched) * free / 4, 3)
    box = (columns[0], rows[0], columns[1] - columns[0], rows[1] - rows[0])
    return Extent(box, confidence, "differs from the background")


def _free_sides(rows: tuple[int, int], columns: tuple[int, int], shape: tuple[int, ...]) -> int:
    """How many sides of the frame the box keeps away from, by a hundredth at least."""
    height, width = shape
    gaps = (
        (rows[0], height),
        (height - rows[1], height),
        (columns[0], width),
        (width - columns[1], width),
    )
    return sum(gap >= 0.01 * side for gap, side in gaps)


def _border(height: int, width: int) -> NDArray[np.bool_]:
    depth = max(2, round(0.02 * min(height, width)))
    border = np.ones((height, width), dtype=bool)
    border[depth : height - depth, depth : width - depth] = False
    return border


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of which at least five of the nine around are set, themselves included."""
    padded = np.pad(mask.astype(np.int8), 1)
    rows, columns = mask.shape
    around = sum(padded[y : y + rows, x : x + columns] for y in range(3) for x in range(3))
    kept: NDArray[np.bool_] = mask & (np.asarray(around) >= 5)
    return kept


def _span(counts: NDArray[np.int_]) -> tuple[int, int]:
    """The first row or column with anything in it, and one past the last."""
    filled = np.flatnonzero(counts)
    return int(filled[0]), int(filled[-1]) + 1
