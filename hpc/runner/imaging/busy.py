"""Where a code may be, by its texture: half dark, half light, and changing every few pixels.

A cheap look at a small copy. Writing is mostly paper and comes in thin rows, plants come in
strands; what is left after thin things are worn away is a code, or now and then a flower.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from hpc.runner.imaging.picture import Grey, as_grey, shrunk
from hpc.runner.imaging.rectangle import Box

LOOK_AT = 4000
"""Longer side, in pixels, of the copy that is judged: modules are still two pixels wide."""
CELL = 8
MIN_CONTRAST = 48
MIN_DARK, MAX_DARK = 0.22, 0.78
MIN_CHANGES = 0.06
"""Of the pixels in a row or a column: one change in sixteen."""
MIN_FILL = 0.25
"""Of its box: a square that stands on a corner fills half of it, less where light is uneven."""
MAX_REGIONS = 200

Cells = NDArray[Any]


@dataclass(frozen=True)
class CodeRegion:
    """A place textured like a code: its box in full-size pixels, the share of it that is, and
    the square root of that area, in cells."""

    box: Box
    fill: float
    side: float

    @property
    def solidity(self) -> float:
        """How much of its box it fills, above all; a larger one before a smaller."""
        return self.fill**3 * self.side

    @property
    def likelihood(self) -> float:
        """The same in balance: dust, a shadow or blur eat a code's edges, and every blot is
        more solid then."""
        return self.fill * self.side


def busy_regions(grey: Grey) -> list[CodeRegion]:
    """The places textured like a code, the likeliest first."""
    small = as_grey(shrunk(pyvips.Image.new_from_array(grey), LOOK_AT))
    if min(small.shape) < 3 * CELL:
        return []
    thick = _opened(_busy_cells(small))
    scale = grey.shape[0] / small.shape[0]
    found = [
        CodeRegion(_placed(box, scale, grey.shape), area / (box[2] * box[3]), area**0.5)
        for box, area in _islands(thick)
    ]
    likely = sorted((each for each in found if each.fill >= MIN_FILL), key=_order, reverse=True)
    return likely[:MAX_REGIONS]


def _order(region: CodeRegion) -> tuple[float, Box]:
    return region.likelihood, region.box


def _busy_cells(grey: Grey) -> NDArray[np.bool_]:
    """Which cells of 8 x 8 pixels are textured like a code, with their neighbours' help."""
    rows, columns = grey.shape[0] // CELL, grey.shape[1] // CELL
    grey = grey[: rows * CELL, : columns * CELL]
    low = _around(_per_cell(grey, np.min), 2, np.minimum)
    high = _around(_per_cell(grey, np.max), 2, np.maximum)
    middle = ((low.astype(np.int16) + high) // 2).astype(np.uint8)
    dark = grey < middle.repeat(CELL, axis=0).repeat(CELL, axis=1)
    across, down = np.zeros_like(dark), np.zeros_like(dark)
    across[:, 1:] = dark[:, 1:] != dark[:, :-1]
    down[1:] = dark[1:] != dark[:-1]
    share, changes_across, changes_down = (
        _around(_per_cell(pixels, np.mean), 1, np.add) / 9 for pixels in (dark, across, down)
    )
    busy: NDArray[np.bool_] = (
        (high.astype(np.int16) - low >= MIN_CONTRAST)
        & (share > MIN_DARK)
        & (share < MAX_DARK)
        & (np.maximum(changes_across, changes_down) > MIN_CHANGES)
    )
    return busy


def _per_cell(pixels: Cells, what: Callable[..., Any]) -> Cells:
    rows, columns = pixels.shape[0] // CELL, pixels.shape[1] // CELL
    return np.asarray(what(pixels.reshape(rows, CELL, columns, CELL), axis=(1, 3)))


def _around(cells: Cells, reach: int, join: Callable[[Cells, Cells], Cells]) -> Cells:
    """Each cell joined with those up to `reach` away, in both directions."""
    for axis in (0, 1):
        padded = np.pad(cells, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], "edge")
        length = cells.shape[axis]
        parts = [padded.take(range(n, n + length), axis=axis) for n in range(2 * reach + 1)]
        cells = parts[0]
        for part in parts[1:]:
            cells = join(cells, part)
    return cells


def _opened(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without what is less than three cells thick."""
    return np.asarray(_around(_around(cells, 1, np.logical_and), 1, np.logical_or), dtype=bool)


def _islands(cells: NDArray[np.bool_]) -> list[tuple[Box, int]]:
    """The connected groups of set cells: box in cells, number of cells."""
    if not cells.any():
        return []
    labels = pyvips.Image.new_from_array(cells.astype(np.uint8)).labelregions().numpy()
    labels = labels.reshape(cells.shape)
    ys, xs = np.nonzero(cells)
    _, group, area = np.unique(labels[ys, xs], return_inverse=True, return_counts=True)
    left, top = (np.full(area.size, max(cells.shape)) for _ in range(2))
    right, bottom = (np.zeros(area.size, dtype=int) for _ in range(2))
    np.minimum.at(left, group, xs)
    np.minimum.at(top, group, ys)
    np.maximum.at(right, group, xs + 1)
    np.maximum.at(bottom, group, ys + 1)
    boxes = zip(left, top, right - left, bottom - top, strict=True)
    return [
        ((int(x), int(y), int(w), int(h)), int(n))
        for (x, y, w, h), n in zip(boxes, area, strict=True)
    ]


def _placed(cells: Box, scale: float, shape: tuple[int, ...]) -> Box:
    """A box of cells as pixels of the full image, with two cells and a tenth as margin."""
    x, y, width, height = (value * CELL * scale for value in cells)
    margin = 2 * CELL * scale + 0.1 * max(width, height)
    left, top = max(0, int(x - margin)), max(0, int(y - margin))
    right = min(shape[1], int(x + width + margin))
    bottom = min(shape[0], int(y + height + margin))
    return left, top, right - left, bottom - top
