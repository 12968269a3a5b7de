"""What lies beside a specimen: the colour chart and the ruler, each by its looks.

A chart is a dozen even patches of one size and many hues, close together. A ruler is a long
straight card on the table. Judged from a small copy.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from hpc.runner.imaging.picture import Rgb
from hpc.runner.imaging.rectangle import Box, box_around
from hpc.runner.imaging.sheet import Mask, Sheet, commonest

EVEN = 10
"""Of 255 between neighbouring pixels of one patch."""
MIN_PATCHES, MIN_HUES = 10, 5
MIN_PATCH_PX, MAX_PATCH_PX = 4, 80
MIN_AREA = 0.0008
"""Of the frame; less is dirt on the table."""
MIN_TABLE = 0.02
"""Of the frame; on less nothing lies that could be told."""
CARD = 0.35
"""Of the patches' shorter side: how far the chart's card may reach beyond them."""
LONG = 3.5
"""Times as long as wide, at least, is a ruler."""


@dataclass(frozen=True)
class Thing:
    """`kind` is "chart", "ruler" or "other"; `box` in pixels of what was looked at."""

    kind: str
    box: Box


@dataclass(frozen=True)
class _Island:
    box: Box
    area: int
    colour: tuple[float, ...]


def find_chart(rgb: Rgb) -> Box | None:
    """The colour chart's patches, boxed; None when there is none."""
    patches = [island for island in _islands(_even(rgb), rgb) if _is_square(island)]
    best: list[_Island] = []
    for patch in patches:
        alike = [other for other in patches if 0.6 < other.area / patch.area < 1.7]
        near = _close_to(patch, alike)
        if len(near) > len(best) and _hues(near) >= MIN_HUES:
            best = near
    return box_around([patch.box for patch in best]) if len(best) >= MIN_PATCHES else None


def things_beside(rgb: Rgb, sheet: Sheet) -> list[Thing]:
    """What lies on the table around the sheet. Where no table shows: the chart alone."""
    chart = find_chart(rgb)
    things = [Thing("chart", chart)] if chart else []
    x, y, width, height = sheet.box
    around = np.ones(rgb.shape[:2], dtype=bool)
    around[max(0, y - 2) : y + height + 2, max(0, x - 2) : x + width + 2] = False
    if around.mean() < MIN_TABLE:
        return things
    pixels = rgb.astype(np.float32)
    table = commonest(pixels[around]) if sheet.table is None else sheet.table
    off = around & (np.abs(pixels - table).max(axis=2) > 30)
    if chart:
        # Its card goes with it; a ruler that lies against the card must not.
        x, y, width, height = chart
        rim = round(CARD * min(width, height))
        off[max(0, y - rim) : y + height + rim, max(0, x - rim) : x + width + rim] = False
    for island in _islands(off, rgb):
        if island.area < MIN_AREA * off.size:
            continue
        long, short = max(island.box[2:]), min(island.box[2:])
        solid = island.area > 0.6 * long * short
        things.append(Thing("ruler" if solid and long > LONG * short else "other", island.box))
    return things


def _even(rgb: Rgb) -> Mask:
    """Pixels that differ little from those to the right and below: edges part the patches."""
    pixels = rgb.astype(np.int16)
    even = np.ones(rgb.shape[:2], dtype=bool)
    even[:, :-1] &= np.abs(np.diff(pixels, axis=1)).max(axis=2) <= EVEN
    even[:-1] &= np.abs(np.diff(pixels, axis=0)).max(axis=2) <= EVEN
    return even


def _islands(mask: Mask, rgb: Rgb) -> list[_Island]:
    """The connected pieces of `mask`, each with its mean colour."""
    if not mask.any():
        return []
    labels: Any = pyvips.Image.new_from_array(mask.astype(np.uint8)).labelregions().numpy()
    ys, xs = np.nonzero(mask)
    _, group, area = np.unique(
        labels.reshape(mask.shape)[ys, xs], return_inverse=True, return_counts=True
    )
    left, top = (np.full(area.size, max(mask.shape)) for _ in range(2))
    right, bottom = (np.zeros(area.size, dtype=int) for _ in range(2))
    np.minimum.at(left, group, xs)
    np.minimum.at(top, group, ys)
    np.maximum.at(right, group, xs + 1)
    np.maximum.at(bottom, group, ys + 1)
    colours = [np.bincount(group, weights=rgb[ys, xs, band]) / area for band in range(3)]
    return [
        _Island(
            (int(left[n]), int(top[n]), int(right[n] - left[n]), int(bottom[n] - top[n])),
            int(area[n]),
            tuple(float(band[n]) for band in colours),
        )
        for n in np.flatnonzero(area >= MIN_PATCH_PX**2)
    ]


def _is_square(island: _Island) -> bool:
    _, _, width, height = island.box
    shape = min(width, height) >= MIN_PATCH_PX and max(width, height) <= MAX_PATCH_PX
    return (
        shape
        and max(width, height) < 2 * min(width, height)
        and (island.area > 0.75 * width * height)
    )


def _close_to(patch: _Island, others: list[_Island]) -> list[_Island]:
    """Those that hang together with `patch`, each within a patch of the next."""
    reach = 1.9 * max(patch.box[2:])
    centres = np.array([(b[0] + b[2] / 2, b[1] + b[3] / 2) for b in (o.box for o in others)])
    inside: NDArray[np.bool_] = np.array([other is patch for other in others])
    while True:
        gaps = np.abs(centres[:, None] - centres[inside][None]).max(axis=2).min(axis=1)
        grown = gaps <= reach
        if grown.sum() == inside.sum():
            return [other for other, held in zip(others, inside, strict=True) if held]
        inside = grown


def _hues(patches: list[_Island]) -> int:
    """How many twelfths of the colour circle are there, among patches that have a colour."""
    hues = set()
    for patch in patches:
        red, green, blue = patch.colour
        if max(patch.colour) - min(patch.colour) > 30:
            across = 3**0.5 * (green - blue)
            hues.add(int(np.degrees(np.arctan2(across, 2 * red - green - blue)) // 30))
    return len(hues)
