"""Masks: which pixels of an image are something, and which of them hang together."""

import numpy as np
import pyvips
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hpc.runner.imaging.rectangle import Box, box_between

Mask = NDArray[np.bool_]
Counts = NDArray[np.intp]


def pieces(mask: Mask) -> tuple[list[Box], Counts, Counts]:
    """Box and area of each connected piece, and of each set pixel the number of its piece."""
    labels = pyvips.Image.new_from_array(mask.astype(np.uint8)).labelregions().numpy()
    ys, xs = np.nonzero(mask)
    _, piece, areas = np.unique(
        labels.reshape(mask.shape)[ys, xs], return_inverse=True, return_counts=True
    )
    left, top = (np.full(areas.size, max(mask.shape)) for _ in range(2))
    right, bottom = (np.zeros(areas.size, dtype=int) for _ in range(2))
    np.minimum.at(left, piece, xs)
    np.minimum.at(top, piece, ys)
    np.maximum.at(right, piece, xs + 1)
    np.maximum.at(bottom, piece, ys + 1)
    edges = np.stack([left, top, right, bottom], axis=1).tolist()
    return [box_between(*each) for each in edges], areas, piece


def border_of(shape: tuple[int, ...], share: float) -> Mask:
    """The pixels along the frame of an image, as deep as `share` of its shorter side."""
    depth = max(2, round(share * min(shape[:2])))
    border = np.ones(shape[:2], dtype=bool)
    border[depth:-depth, depth:-depth] = False
    return border


def sums_around(counts: Counts) -> Counts:
    """Each cell and its direct neighbours summed, in as many dimensions as there are."""
    windows = sliding_window_view(np.pad(counts, 1), (3,) * counts.ndim)
    sums: Counts = windows.sum(axis=tuple(range(counts.ndim, 2 * counts.ndim)))
    return sums
