"""Variants of a part of an image, for the reader of codes that cannot read it as it is.

Enlarged, since modules may be two pixels wide; at one threshold, since light may be uneven or
a shadow may lie next to it; closed, since a leg, a root or a scratch may cross it; turned,
since bars are only read along rows and columns.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyvips

from hpc.runner.imaging.picture import Grey, as_grey
from hpc.runner.imaging.rectangle import Point

Recipe = tuple[float, int, str]
"""Scale, degrees, and how it is worked on."""
FIRST_RECIPES: tuple[Recipe, ...] = (
    (2, 0, "plain"),
    (1, 0, "one threshold"),
    (1, 0, "closed"),
    (2, 0, "sharpened"),
)
"""Enough to tell whether a part is worth the others."""
MAIN_RECIPES = (
    *FIRST_RECIPES,
    (2, 30, "sharpened"),
    (2, 60, "sharpened"),
    (4, 0, "closed"),
    (4, 0, "sharpened"),
    (3, 0, "one threshold"),
    (2, 30, "plain"),
    (2, 60, "plain"),
)
"""Each reads codes that those before it do not. The reader itself turns by 90 degrees, and
forgives 15 either way."""
ALL_RECIPES = (
    *MAIN_RECIPES,
    (1.5, 0, "closed"),
    (1.5, 0, "sharpened"),
    (2, 0, "sharpened much"),
    (1.5, 0, "sharpened much"),
    (1, 0, "sharpened much"),
    (2, 0, "stretched"),
    (3, 0, "sharpened much"),
)
"""The last are for what none of the others show: out of focus, faint, or of modules that fall
between the scales above."""
MAX_PIXELS = 1_500_000
"""Of one variant. A part larger than that is reduced to it first."""


@dataclass(frozen=True)
class Variant:
    """`pixels` as they are shown: enlarged `scale` times, then turned by `turned` degrees."""

    how: str
    pixels: Grey
    scale: float = 1.0
    turned: float = 0.0
    size: tuple[int, int] | None = None

    def in_part(self, x: float, y: float) -> Point:
        """The point (x, y) of this variant, in pixels of the part that it shows."""
        if not self.turned or self.size is None:
            return x / self.scale, y / self.scale
        height, width = self.pixels.shape
        angle = math.radians(self.turned)
        u, v = x - width / 2, y - height / 2
        u, v = u * math.cos(angle) + v * math.sin(angle), v * math.cos(angle) - u * math.sin(angle)
        return u / self.scale + self.size[0] / 2, v / self.scale + self.size[1] / 2


def variants(part: Grey, recipes: Sequence[Recipe]) -> Iterator[Variant]:
    """One part of an image after these recipes, the likeliest to be read first."""
    max_scale = math.sqrt(MAX_PIXELS / part.size)
    image = pyvips.Image.new_from_array(part)
    for wanted, turned, how in recipes:
        scale = min(wanted, max_scale)
        shown = image if scale == 1 else image.resize(scale, kernel="cubic")
        if turned:
            shown = shown.rotate(turned, background=float(np.percentile(part, 90)))
        named = f"part {scale:.3g}x{f', turned {turned}' if turned else ''}, {how}"
        pixels = as_grey(_worked_on(shown, how, scale))
        yield Variant(named, pixels, scale, turned, (image.width, image.height))


def _worked_on(image: pyvips.Image, how: str, scale: float) -> pyvips.Image:
    match how:
        case "one threshold":
            return (image > _threshold(as_grey(image))).cast("uchar")
        case "closed":  # without dark lines up to three pixels (of the part) wide
            reach = 2 * max(1, round(scale)) + 1
            return image.rank(reach, reach, reach * reach - 1).rank(reach, reach, 0)
        case "sharpened":
            return _sharpened(image, scale, 2)
        case "sharpened much":
            return _sharpened(image, scale, 4)
        case "stretched":  # from black to white, and sharpened
            low, high = (float(value) for value in np.percentile(as_grey(image), (2, 98)))
            stretched = ((image - low) * (255 / max(1.0, high - low))).cast("uchar")
            return _sharpened(stretched, scale, 2)
    return image


def _sharpened(image: pyvips.Image, scale: float, by: int) -> pyvips.Image:
    return (image * (by + 1) - image.gaussblur(2 * scale) * by).cast("uchar")


def _threshold(grey: Grey) -> int:
    """The grey value that parts dark from light best (N. Otsu, 1979)."""
    share = np.bincount(grey.ravel(), minlength=256) / grey.size
    below = np.cumsum(share)
    sums = np.cumsum(share * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below - sums) ** 2 / (below * (1 - below))
    return int(np.nanargmax(np.where(np.isfinite(between), between, 0.0)))
