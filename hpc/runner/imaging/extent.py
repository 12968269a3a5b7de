"""Where the specimen lies on its background, judged from a small copy of the image."""

from dataclasses import dataclass

import numpy as np

from hpc.runner.imaging.masks import border_of, sums_around
from hpc.runner.imaging.picture import Rgb
from hpc.runner.imaging.rectangle import Box, box_between

MIN_DISTANCE = 18.0
"""Of 255: what differs less from the background is shadow or grain."""
MAX_DISTANCE = 60.0
"""However motley the border (a ruler, a colour chart), this much is something else."""
MIN_AREA = 0.001
MAX_BORDER = 0.5
MIN_GAP = 0.01
"""Of the frame's width or height: a side that is nearer to its edge touches it."""


@dataclass(frozen=True)
class Extent:
    """`box` in pixels of the copy that was judged; None: could not tell."""

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
    border = border_of(pixels.shape, 0.02)
    background = np.median(pixels[border], axis=0)
    distance = np.abs(pixels - background).max(axis=2).astype(np.float64)
    # Grain of the background itself; the third quartile, since a specimen may touch an edge.
    grain = 3.0 * float(np.percentile(distance[border], 75))
    threshold = min(max(MIN_DISTANCE, grain), MAX_DISTANCE)
    differs = distance > threshold
    mask = differs & (sums_around(differs.astype(np.intp)) >= 5)  # without specks
    if but is not None:
        mask[but.pixels(margin=max(but.width, but.height) // 8 + 2)] = False
    if mask.mean() < MIN_AREA:
        return Extent(None, 0.0, "nothing stands out from the background")
    touched = float(mask[border].mean())
    if touched > MAX_BORDER:
        return Extent(None, 0.0, "the border is not one background")
    ys, xs = (np.flatnonzero(mask.any(axis=axis)).tolist() for axis in (1, 0))
    box = box_between(xs[0], ys[0], xs[-1] + 1, ys[-1] + 1)
    height, width = mask.shape
    gaps = zip(box.gaps(mask.shape), (width, height, width, height), strict=True)
    free = sum(gap >= MIN_GAP * side for gap, side in gaps)
    if not free:
        return Extent(None, 0.0, "something touches all four sides")
    contrast = 1.0 - threshold / float(np.median(distance[mask]))
    confidence = round(max(0.0, min(1.0, contrast)) * (1.0 - touched) * free / 4, 3)
    return Extent(box, confidence, "differs from the background")
