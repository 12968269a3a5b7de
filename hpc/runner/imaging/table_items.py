"""What lies next to a specimen: the colour chart, and the ruler and other things on the table.

A chart is a dozen even patches of one size and many hues, close together. A ruler is a long
straight card on the table. Judged from a small copy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpc.runner.imaging.masks import Mask, pieces
from hpc.runner.imaging.picture import Rgb
from hpc.runner.imaging.rectangle import Box, box_around
from hpc.runner.imaging.sheet import Sheet, commonest

EVEN = 10
"""Of 255 between neighbouring pixels of one patch."""
MIN_PATCHES, MIN_HUES = 10, 5
MIN_PATCH_PX, MAX_PATCH_PX = 4, 80
MIN_AREA = 0.0008
"""Of the frame; less is dirt on the table."""
MIN_TABLE = 0.02
"""Of the frame; on less nothing that lies there can be recognised."""
CHART_MARGIN = 0.35
"""Of the patches' shorter side: how far the chart's card may reach beyond them."""
MIN_RULER_RATIO = 3.5
"""Times as long as wide."""


@dataclass(frozen=True)
class TableItem:
    """`kind` is "chart", "ruler" or "other"; `box` in pixels of the copy that was judged."""

    kind: str
    box: Box


@dataclass(frozen=True)
class _Piece:
    box: Box
    area: int
    colour: tuple[float, float, float]


def find_chart(rgb: Rgb) -> Box | None:
    """The colour chart's patches, boxed; None when there is none."""
    patches = [piece for piece in _pieces(_even(rgb), rgb) if _is_patch(piece)]
    best: list[_Piece] = []
    for patch in patches:
        alike = [other for other in patches if 0.6 < other.area / patch.area < 1.7]
        near = _close_to(patch, alike)
        if len(near) > len(best) and _hues(near) >= MIN_HUES:
            best = near
    return box_around([patch.box for patch in best]) if len(best) >= MIN_PATCHES else None


def items_on_table(rgb: Rgb, sheet: Sheet) -> list[TableItem]:
    """What lies on the table around the sheet. Where no table shows: the chart alone."""
    chart = find_chart(rgb)
    items = [TableItem("chart", chart)] if chart else []
    around = np.ones(rgb.shape[:2], dtype=bool)
    around[sheet.box.pixels(margin=2)] = False
    if around.mean() < MIN_TABLE:
        return items
    pixels = rgb.astype(np.float32)
    table = commonest(pixels[around]) if sheet.table is None else sheet.table
    off = around & (np.abs(pixels - table).max(axis=2) > 30)
    if chart:
        # Its card goes with it; a ruler that lies against the card must not.
        off[chart.pixels(round(CHART_MARGIN * min(chart.width, chart.height)))] = False
    for piece in _pieces(off, rgb):
        if piece.area >= MIN_AREA * off.size:
            short, long = sorted((piece.box.width, piece.box.height))
            is_ruler = piece.area > 0.6 * long * short and long > MIN_RULER_RATIO * short
            items.append(TableItem("ruler" if is_ruler else "other", piece.box))
    return items


def _even(rgb: Rgb) -> Mask:
    """Pixels that differ little from those to the right and below: edges part the patches."""
    pixels = rgb.astype(np.int16)
    even = np.ones(rgb.shape[:2], dtype=bool)
    even[:, :-1] &= np.abs(np.diff(pixels, axis=1)).max(axis=2) <= EVEN
    even[:-1] &= np.abs(np.diff(pixels, axis=0)).max(axis=2) <= EVEN
    return even


def _pieces(mask: Mask, rgb: Rgb) -> list[_Piece]:
    """The connected pieces of `mask` that are no specks, each with its mean colour."""
    boxes, areas, piece = pieces(mask)
    red, green, blue = (np.bincount(piece, rgb[..., band][mask]) / areas for band in range(3))
    return [
        _Piece(boxes[n], int(areas[n]), (float(red[n]), float(green[n]), float(blue[n])))
        for n in np.flatnonzero(areas >= MIN_PATCH_PX**2)
    ]


def _is_patch(piece: _Piece) -> bool:
    """Whether it is nearly a square, of the size of a chart's patch."""
    short, long = sorted((piece.box.width, piece.box.height))
    is_square = long < 2 * short and piece.area > 0.75 * long * short
    return is_square and short >= MIN_PATCH_PX and long <= MAX_PATCH_PX


def _close_to(patch: _Piece, others: list[_Piece]) -> list[_Piece]:
    """Those that hang together with `patch`, each within a patch of the next."""
    reach = 1.9 * max(patch.box.width, patch.box.height)
    centres = np.array([other.box.centre for other in others])
    inside: NDArray[np.bool_] = np.array([other is patch for other in others])
    while True:
        gaps = np.abs(centres[:, None] - centres[inside][None]).max(axis=2).min(axis=1)
        grown = gaps <= reach
        if grown.sum() == inside.sum():
            return [other for other, is_near in zip(others, inside, strict=True) if is_near]
        inside = grown


def _hues(patches: list[_Piece]) -> int:
    """How many twelfths of the colour circle are there, among patches that have a colour."""
    hues = set()
    for patch in patches:
        red, green, blue = patch.colour
        if max(patch.colour) - min(patch.colour) > 30:
            across = 3**0.5 * (green - blue)
            hues.add(int(np.degrees(np.arctan2(across, 2 * red - green - blue)) // 30))
    return len(hues)
