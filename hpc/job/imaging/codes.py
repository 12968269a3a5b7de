"""Machine-readable codes in an image: one look at the whole frame, one at its tiles.

A reader samples lines of the frame, so a small code between the lines is missed; the tiles
are sampled anew. The frame is enlarged, which is slow, when it is small or gave nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvips
import zxingcpp

from hpc.job.errors import BadInput
from hpc.job.imaging.picture import Grey, as_grey

FORMATS = (
    "QRCode",
    "MicroQRCode",
    "DataMatrix",
    "Aztec",
    "PDF417",
    "Code128",
    "Code39",
    "Code93",
    "EAN13",
    "UPCA",
)
"""What labels carry. ITF, Codabar, EAN-8 and UPC-E are left out: rulers and stems read as such."""
TILE = 1000
OVERLAP = 250
ENLARGE = 1.5
LARGEST_TO_ENLARGE = 24_000_000
SMALL = 4_000_000
"""Pixels up to which the frame is enlarged anyway: codes in such images are tiny."""


@dataclass(frozen=True)
class Code:
    """`box` is x, y, width, height in pixels of the upright image; `how` names the look."""

    text: str
    symbology: str
    box: tuple[int, int, int, int]
    how: str


def read_codes(grey: Grey, formats: tuple[str, ...] = FORMATS) -> list[Code]:
    """The distinct codes, top to bottom. Raises BadInput for an unknown format name."""
    wanted: Any = [_format(name) for name in formats]
    found: dict[tuple[str, str], Code] = {}
    for how, part, (left, top), scale in _looks(grey):
        if how == "enlarged" and found and grey.size > SMALL:
            break
        for seen in zxingcpp.read_barcodes(part, formats=wanted, text_mode=zxingcpp.TextMode.Plain):
            # Binary codes hold control characters, which no database text takes.
            text = "".join(filter(str.isprintable, seen.text)).strip()
            if text:
                box = _box(seen.position, left, top, scale)
                found.setdefault((str(seen.format), text), Code(text, str(seen.format), box, how))
    return sorted(found.values(), key=lambda code: (code.box[1], code.box[0]))


def _looks(grey: Grey) -> Iterator[tuple[str, Grey, tuple[int, int], float]]:
    """How it was made, the pixels, their place in the frame, their scale."""
    height, width = grey.shape
    yield "frame", grey, (0, 0), 1.0
    if max(height, width) > TILE:
        step = TILE - OVERLAP
        for top in range(0, max(1, height - OVERLAP), step):
            for left in range(0, max(1, width - OVERLAP), step):
                tile = grey[top : top + TILE, left : left + TILE]
                yield "tiles", np.ascontiguousarray(tile), (left, top), 1.0
    if grey.size <= LARGEST_TO_ENLARGE:
        enlarged = pyvips.Image.new_from_array(grey).resize(ENLARGE)
        yield "enlarged", as_grey(enlarged), (0, 0), ENLARGE


def _format(name: str) -> Any:
    known = getattr(zxingcpp.BarcodeFormat, name, None)
    if known is None:
        raise BadInput(f"params.formats: {name!r} is no code format; known are e.g. {FORMATS}")
    return known


def _box(position: Any, left: int, top: int, scale: float) -> tuple[int, int, int, int]:
    corners = [
        position.top_left,
        position.top_right,
        position.bottom_right,
        position.bottom_left,
    ]
    xs = [corner.x / scale + left for corner in corners]
    ys = [corner.y / scale + top for corner in corners]
    x, y = round(min(xs)), round(min(ys))
    return x, y, max(1, round(max(xs)) - x), max(1, round(max(ys)) - y)
