"""Machine-readable codes in an image: every one a person can see, and none else.

One look at the whole frame. Then at what is textured like a code and was not read: enlarged,
turned, thresholded. A frame that gave nothing is also looked at in tiles, since a reader
samples lines of a frame and misses what lies between them. All within a budget of seconds.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvips
import zxingcpp

from hpc.job.errors import BadInput
from hpc.job.imaging.busy import Box, busy_regions
from hpc.job.imaging.looks import FIRST_LOOKS, Look, looks_at
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
CORRECTED = frozenset({"QR Code", "Micro QR Code", "Data Matrix", "Aztec", "PDF417"})
"""These carry enough check symbols to be believed from a single look."""
NUL = "\N{SYMBOL FOR NULL}"
BUDGET_S = 20.0
LIKELY = 8
"""So many of the busiest regions are looked at in every way."""
SPANNED = 0.45
EDGE = 2
"""Pixels from the frame: a code that near is cut, and belongs to a neighbour left out of it."""
TILE = 1000
OVERLAP = 250
ENLARGE = 1.5
LARGEST_TO_ENLARGE = 24_000_000
LARGEST_FRAME = 150_000_000
"""Pixels the reader is shown at once: it needs as much memory again, and more."""
PART_OF_FRAME, PARTS_OVERLAP = 10_000, 1_500


@dataclass(frozen=True)
class Code:
    """`box` is x, y, width, height in pixels of the upright image; `how` names the look."""

    text: str
    symbology: str
    box: Box
    how: str


@dataclass(frozen=True)
class Reading:
    """What was read of one image.

    `cut`: codes that the frame's edge cuts; they belong to a neighbour left out of the image.
    `unseen`: places left unlooked at when the budget was spent.
    """

    codes: list[Code]
    cut: list[Code]
    looks: int
    seconds: float
    unseen: int


def read_codes(
    grey: Grey, formats: tuple[str, ...] = FORMATS, budget_s: float = BUDGET_S
) -> Reading:
    """The codes, top to bottom. Raises BadInput for an unknown format name."""
    began = time.monotonic()
    search = _Search([_format(name) for name in formats], began + budget_s)
    search.look_at_frame(grey)
    search.look_closely(grey, busy_regions(grey))
    if not search.codes:
        search.look_at_tiles(grey)
    codes = sorted(search.codes, key=lambda code: (code.box[1], code.box[0]))
    cut = [code for code in codes if _is_cut(code.box, grey.shape)]
    return Reading(
        codes=[code for code in codes if code not in cut],
        cut=cut,
        looks=search.looks,
        seconds=round(time.monotonic() - began, 3),
        unseen=search.unseen,
    )


class _Search:
    """What was found so far in one image, and when to stop."""

    def __init__(self, formats: Any, deadline: float) -> None:
        self.codes: list[Code] = []
        self.looks = 0
        self.unseen = 0
        self._formats = formats
        self._deadline = deadline

    def look(self, look: Look, corner: tuple[int, int]) -> None:
        """Keep what this look shows."""
        codes, _ = self._read(look, corner)
        for code in codes:
            self._keep(code)

    def look_at_frame(self, grey: Grey) -> None:
        """The frame at once or, where that is too large, in a few large parts."""
        if grey.size <= LARGEST_FRAME:
            self.look(Look("frame", grey), (0, 0))
        else:
            self._look_at_each(grey, PART_OF_FRAME, PARTS_OVERLAP, "part of frame")

    def look_closely(self, grey: Grey, regions: list[Box]) -> None:
        """Show each region in one way after another until what it holds is read."""
        for rank, box in enumerate(regions):
            if self._is_explained(box):
                continue
            if self._is_over():
                self.unseen += 1
                continue
            x, y, width, height = box
            part = np.ascontiguousarray(grey[y : y + height, x : x + width])
            self._look_at_part(part, box, patiently=rank < LIKELY)

    def look_at_tiles(self, grey: Grey) -> None:
        """The frame in overlapping tiles, and enlarged where it is not too large for that."""
        if max(grey.shape) > TILE:
            self._look_at_each(grey, TILE, OVERLAP, "tile")
        if grey.size <= LARGEST_TO_ENLARGE and not self.codes and not self._is_over():
            enlarged = as_grey(pyvips.Image.new_from_array(grey).resize(ENLARGE))
            self.look(Look("enlarged", enlarged, ENLARGE), (0, 0))

    def _look_at_each(self, grey: Grey, side: int, overlap: int, how: str) -> None:
        """Squares of that side, each overlapping the next."""
        tops, lefts = (range(0, max(1, length - overlap), side - overlap) for length in grey.shape)
        for left, top in ((left, top) for top in tops for left in lefts):
            if self._is_over():
                self.unseen += 1
                continue
            square = np.ascontiguousarray(grey[top : top + side, left : left + side])
            self.look(Look(how, square), (left, top))

    def _look_at_part(self, part: Grey, box: Box, patiently: bool) -> None:
        """Bars have one check digit or none, and lettering that was worked on can pass for
        them: bars count once two looks agree. A code seen but not read is worth patience."""
        seen: set[tuple[str, str]] = set()
        for n, look in enumerate(looks_at(part)):
            if n >= FIRST_LOOKS and not patiently:
                return
            codes, seen_only = self._read(look, box[:2])
            patiently = patiently or seen_only
            for code in codes:
                what = (code.symbology, code.text)
                if code.symbology in CORRECTED or what in seen:
                    self._keep(code)
                seen.add(what)
            if self._is_explained(box) or self._is_over():
                return

    def _read(self, look: Look, corner: tuple[int, int]) -> tuple[list[Code], bool]:
        """The codes of one look, and whether there was one that cannot be made out."""
        self.looks += 1
        found = zxingcpp.read_barcodes(
            look.pixels,
            formats=self._formats,
            text_mode=zxingcpp.TextMode.Plain,
            return_errors=True,
        )
        codes = []
        for seen in found:
            # As read, line breaks and separators too; only a NUL is in no database's text.
            text = seen.text.replace("\0", NUL)
            if seen.valid and text.strip():
                box = _box(seen.position, look, corner)
                codes.append(Code(text, str(seen.format), box, look.how))
        return codes, not all(seen.valid for seen in found)

    def _keep(self, code: Code) -> None:
        if not any(_is_same(code, kept) for kept in self.codes):
            self.codes.append(code)

    def _is_explained(self, region: Box) -> bool:
        """Whether the codes read in `region` span half of it: beside one, there may be another."""
        axis = 0 if region[2] >= region[3] else 1
        inside = [code.box for code in self.codes if _lies_in(code.box, region)]
        begin = min((box[axis] for box in inside), default=0)
        end = max((box[axis] + box[axis + 2] for box in inside), default=0)
        return end - begin >= SPANNED * region[axis + 2]

    def _is_over(self) -> bool:
        return time.monotonic() > self._deadline


def _format(name: str) -> Any:
    known = getattr(zxingcpp.BarcodeFormat, name, None)
    if known is None:
        raise BadInput(f"params.formats: {name!r} is no code format; known are e.g. {FORMATS}")
    return known


def _box(position: Any, look: Look, corner: tuple[int, int]) -> Box:
    """The upright box around a code, in pixels of the frame."""
    corners = (
        position.top_left,
        position.top_right,
        position.bottom_right,
        position.bottom_left,
    )
    points = np.array([look.back(point.x, point.y) for point in corners]) + corner
    x, y = (round(value) for value in points.min(axis=0))
    right, bottom = (round(value) for value in points.max(axis=0))
    return x, y, max(1, right - x), max(1, bottom - y)


def _is_same(code: Code, other: Code) -> bool:
    """The same text, not further away than the code is large: bars are seen in part."""
    if (code.text, code.symbology) != (other.text, other.symbology):
        return False
    reach = max(*code.box[2:], *other.box[2:])
    across, down = (abs(a - b) for a, b in zip(_centre(code.box), _centre(other.box), strict=True))
    return max(across, down) <= reach


def _is_cut(box: Box, shape: tuple[int, ...]) -> bool:
    x, y, width, height = box
    far = min(shape[1] - x - width, shape[0] - y - height)
    return min(x, y, far) <= EDGE


def _lies_in(box: Box, region: Box) -> bool:
    x, y = _centre(box)
    return 0 <= x - region[0] <= region[2] and 0 <= y - region[1] <= region[3]


def _centre(box: Box) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2
