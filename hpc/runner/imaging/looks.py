"""How a part of an image is shown to the reader of codes when it cannot read it as it is.

Enlarged, since modules may be two pixels wide; at one threshold, since light may be uneven or
a shadow may lie next to it; closed, since a leg, a root or a scratch may cross it; turned,
since bars are only read along rows and columns.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyvips

from hpc.runner.imaging.picture import Grey, as_grey

LOOKS = (
    (2, 0, "plain"),
    (1, 0, "one threshold"),
    (1, 0, "closed"),
    (2, 0, "sharpened"),
    (2, 30, "sharpened"),
    (2, 60, "sharpened"),
    (4, 0, "closed"),
    (4, 0, "sharpened"),
    (3, 0, "one threshold"),
    (2, 30, "plain"),
    (2, 60, "plain"),
)
"""Scale, degrees, and how it is worked on; each reads codes that those before it do not.
The reader itself turns by 90 degrees, and forgives 15 either way."""
FIRST_LOOKS = 4
"""Enough to tell whether a part is worth the others."""
FURTHER_LOOKS = (
    (1.5, 0, "closed"),
    (1.5, 0, "sharpened"),
    (2, 0, "sharpened much"),
    (1.5, 0, "sharpened much"),
    (1, 0, "sharpened much"),
    (2, 0, "stretched"),
    (3, 0, "sharpened much"),
)
"""For what none of the others show: out of focus, faint, or of modules that fall between the
scales above."""
EVERY_LOOK: tuple[tuple[float, int, str], ...] = (*LOOKS, *FURTHER_LOOKS)
LARGEST = 1_500_000
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


def looks_at(part: Grey, looks: Sequence[tuple[float, int, str]]) -> Iterator[Look]:
    """The looks at one part of an image, the likeliest to succeed first."""
    most = math.sqrt(LARGEST / part.size)
    image = pyvips.Image.new_from_array(part)
    for wanted, turned, how in looks:
        scale = min(wanted, most)
        shown = image if scale == 1 else image.resize(scale, kernel="cubic")
        if turned:
            shown = shown.rotate(turned, background=float(np.percentile(part, 90)))
        named = f"part {scale:.3g}x{f', turned {turned}' if turned else ''}, {how}"
        pixels = as_grey(WORKED[how](shown, scale))
        yield Look(named, pixels, scale, turned, (image.width, image.height))


def _sharpened(image: pyvips.Image, scale: float) -> pyvips.Image:
    return (image * 3 - image.gaussblur(2 * scale) * 2).cast("uchar")


def _sharpened_much(image: pyvips.Image, scale: float) -> pyvips.Image:
    return (image * 5 - image.gaussblur(2 * scale) * 4).cast("uchar")


def _stretched(image: pyvips.Image, scale: float) -> pyvips.Image:
    """From black to white, and sharpened."""
    low, high = (float(value) for value in np.percentile(as_grey(image), (2, 98)))
    return _sharpened(((image - low) * (255 / max(1.0, high - low))).cast("uchar"), scale)


def _closed(image: pyvips.Image, scale: float) -> pyvips.Image:
    """Without dark lines up to three pixels (of the part) wide."""
    reach = 2 * max(1, round(scale)) + 1
    return image.rank(reach, reach, reach * reach - 1).rank(reach, reach, 0)


def _at_one_threshold(image: pyvips.Image, _scale: float) -> pyvips.Image:
    return (image > _threshold(as_grey(image))).cast("uchar")


WORKED: dict[str, Callable[[pyvips.Image, float], pyvips.Image]] = {
    "plain": lambda image, _scale: image,
    "one threshold": _at_one_threshold,
    "closed": _closed,
    "sharpened": _sharpened,
    "sharpened much": _sharpened_much,
    "stretched": _stretched,
}


def _threshold(grey: Grey) -> int:
    """The grey value that parts dark from light best (N. Otsu, 1979)."""
    share = np.bincount(grey.ravel(), minlength=256) / grey.size
    below = np.cumsum(share)
    sums = np.cumsum(share * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below - sums) ** 2 / (below * (1 - below))
    return int(np.nanargmax(np.where(np.isfinite(between), between, 0.0)))
