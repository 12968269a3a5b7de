"""Where a code may be, by its texture: half dark, half light, and changing every few pixels.

Judged cheaply from a small copy. Writing is mostly paper and comes in thin rows, plants come in
strands; what is left after thin things are worn away is a code, or now and then a flower.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvips
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hpc.runner.imaging.masks import Mask, pieces
from hpc.runner.imaging.picture import Grey, as_grey, shrunk
from hpc.runner.imaging.rectangle import Box, box_between

COPY_SIDE = 4000
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


def code_regions(grey: Grey) -> list[CodeRegion]:
    """The places textured like a code, the likeliest first."""
    small = as_grey(shrunk(pyvips.Image.new_from_array(grey), COPY_SIDE))
    if min(small.shape) < 3 * CELL:
        return []
    thick = _around(_around(_textured_cells(small), 1, np.min), 1, np.max)  # three cells at least
    scale = grey.shape[0] / small.shape[0]
    boxes, areas, _ = pieces(thick)
    found = [
        CodeRegion(_full_size(box, scale, grey.shape), area / (box.width * box.height), area**0.5)
        for box, area in zip(boxes, areas.tolist(), strict=True)
    ]
    likely = [region for region in found if region.fill >= MIN_FILL]
    likely.sort(key=lambda region: (region.likelihood, region.box), reverse=True)
    return likely[:MAX_REGIONS]


def _textured_cells(grey: Grey) -> Mask:
    """Which cells of 8 x 8 pixels are textured like a code, with their neighbours' help."""
    rows, columns = grey.shape[0] // CELL, grey.shape[1] // CELL
    grey = grey[: rows * CELL, : columns * CELL]
    low = _around(_per_cell(grey, np.min), 2, np.min)
    high = _around(_per_cell(grey, np.max), 2, np.max)
    middle = ((low.astype(np.int16) + high) // 2).astype(np.uint8)
    dark = grey < middle.repeat(CELL, axis=0).repeat(CELL, axis=1)
    across, down = np.zeros_like(dark), np.zeros_like(dark)
    across[:, 1:] = dark[:, 1:] != dark[:, :-1]
    down[1:] = dark[1:] != dark[:-1]
    share, changes_across, changes_down = (
        _around(_per_cell(pixels, np.mean), 1, np.sum) / 9 for pixels in (dark, across, down)
    )
    textured: Mask = (
        (high.astype(np.int16) - low >= MIN_CONTRAST)
        & (share > MIN_DARK)
        & (share < MAX_DARK)
        & (np.maximum(changes_across, changes_down) > MIN_CHANGES)
    )
    return textured


def _per_cell(pixels: Cells, what: Callable[..., Any]) -> Cells:
    rows, columns = pixels.shape[0] // CELL, pixels.shape[1] // CELL
    return np.asarray(what(pixels.reshape(rows, CELL, columns, CELL), axis=(1, 3)))


def _around(cells: Cells, reach: int, join: Callable[..., Any]) -> Cells:
    """Each cell joined with those up to `reach` away, in both directions."""
    for axis in (0, 1):
        margin = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        windows = sliding_window_view(np.pad(cells, margin, "edge"), 2 * reach + 1, axis=axis)
        cells = join(windows, axis=-1)
    return cells


def _full_size(cells: Box, scale: float, shape: tuple[int, ...]) -> Box:
    """A box of cells as pixels of the full image, with two cells and a tenth as margin."""
    x, y, width, height = (value * CELL * scale for value in cells)
    margin = 2 * CELL * scale + 0.1 * max(width, height)
    edges = (int(x - margin), int(y - margin), int(x + width + margin), int(y + height + margin))
    return box_between(*edges).clipped(shape[1], shape[0])
