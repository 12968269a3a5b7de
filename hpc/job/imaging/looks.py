"""How a part of an image is shown to the reader of codes when it cannot read it as it is.

Enlarged, since modules may be two pixels wide; at one threshold, since light may be uneven or
a shadow may lie next to it; closed, since a leg, a root or a scratch may cross it; turned,
since bars are only read along rows and columns.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyvips

from hpc.job.imaging.picture import Grey, as_grey

SCALES = (1.0, 2.0, 3.0, 4.0)
TURNS = (0, 30, 60)
"""Degrees; the reader itself turns by 90 and forgives 15 either way."""
LARGEST = 2_500_000
"""Pixels of one look. A part larger than that is reduced to it first."""


@dataclass(frozen=True)
class Look:
    """`pixels` as they are shown: enlarged `scale` times, then turned by `turned` degrees."""

    how: str
    pixels: Grey
    scale: float = 1.0
    turned: float = 0.0
    size: tuple[int, int] | None = None

    def back(self, x: float, y: float) -> tuple[float, float]:
        """The point (x, y) of this look, in pixels of the part that is shown."""
        if not self.turned or self.size is None:
            return x / self.scale, y / self.scale
        height, width = self.pixels.shape
        angle = math.radians(self.turned)
        u, v = x - width / 2, y - height / 2
        u, v = u * math.cos(angle) + v * math.sin(angle), v * math.cos(angle) - u * math.sin(angle)
        return u / self.scale + self.size[0] / 2, v / self.scale + self.size[1] / 2


def looks_at(part: Grey) -> Iterator[Look]:
    """The looks at one part of an image, the likeliest to succeed first."""
    most = math.sqrt(LARGEST / part.size)
    scales = sorted({min(scale, most) for scale in SCALES})
    image = pyvips.Image.new_from_array(part)
    for turn in TURNS:
        for scale in scales if turn == 0 else scales[:2]:
            shown = image if scale == 1.0 else image.resize(scale, kernel="cubic")
            if turn:
                paper = float(np.percentile(part, 90))
                shown = shown.rotate(turn, background=paper)
            named = f"part {scale:.3g}x" + (f", turned {turn}" if turn else "")
            for name, worked in _worked(shown, scale):
                yield Look(named + name, as_grey(worked), scale, turn, (image.width, image.height))


def _worked(image: pyvips.Image, scale: float) -> Iterator[tuple[str, pyvips.Image]]:
    """The image as it is, then made easier to read, one way after the other."""
    yield "", image
    threshold = _threshold(as_grey(image))
    yield ", one threshold", (image > threshold).cast("uchar")
    reach = 2 * max(1, round(scale)) + 1
    closed = image.rank(reach, reach, reach * reach - 1).rank(reach, reach, 0)
    yield ", closed", closed
    yield ", closed, one threshold", (closed > threshold).cast("uchar")
    yield ", smoothed", image.gaussblur(scale)
    yield ", sharpened", (image * 3 - image.gaussblur(2 * scale) * 2).cast("uchar")


def _threshold(grey: Grey) -> int:
    """The grey value that parts dark from light best (N. Otsu, 1979)."""
    share = np.bincount(grey.ravel(), minlength=256) / grey.size
    below = np.cumsum(share)
    sums = np.cumsum(share * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below - sums) ** 2 / (below * (1 - below))
    return int(np.nanargmax(np.where(np.isfinite(between), between, 0.0)))
