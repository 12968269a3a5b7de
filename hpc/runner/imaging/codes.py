"""Machine-readable codes in an image: every one a person can see, and none else.

One look at the whole frame. Then at what is textured like a code and was not read: enlarged,
turned, thresholded. A frame that gave nothing is also looked at in tiles, since a reader
samples lines of a frame and misses what lies between them. Last come further looks, at the
places that are likelier than one that held a code; at all of them while there was none. All
within a budget of processor time: on a busy machine as much is seen as on a quiet one.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyvips
import zxingcpp

from hpc.runner.errors import BadInput
from hpc.runner.imaging.busy import CodeRegion, busy_regions
from hpc.runner.imaging.looks import EVERY_LOOK, FIRST_LOOKS, LOOKS, Look, looks_at
from hpc.runner.imaging.picture import Grey, as_grey
from hpc.runner.imaging.rectangle import Box

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
"""Seconds of processor time, of all threads."""
PATIENCE = 15
"""On the clock, so many times the budget: something else is wrong by then."""
SOLID, SOLIDEST, LIKELY = 0.4, 20, 8
"""Of the regions that fill so much of their box, so many are looked at in the first ways, and so
many of these in more. The weak ones have their turn when these gave nothing."""
LIKELIEST = 40
"""So many regions at most are looked at in every way then."""
ALIKE = 1.5
"""A place is like another up to so many times its longer side."""
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
class FoundCode:
    """`box` is x, y, width, height in pixels of the upright image; `how` names the look."""

    text: str
    symbology: str
    box: Box
    how: str


@dataclass(frozen=True)
class CodeReading:
    """What was read of one image.

    `cut`: codes that the frame's edge cuts; they belong to a neighbour left out of the image.
    `seconds` are of processor time. `unseen`: places left unlooked at when the budget was spent.
    """

    codes: list[FoundCode]
    cut: list[FoundCode]
    looks: int
    seconds: float
    unseen: int


def read_codes(
    grey: Grey, formats: tuple[str, ...] = FORMATS, budget_s: float = BUDGET_S
) -> CodeReading:
    """The codes, top to bottom. Raises BadInput for an unknown format name."""
    clock = _Clock(budget_s)
    search = _Search([_format(name) for name in formats], clock)
    regions = busy_regions(grey)
    search.look_at_frame(grey)
    search.look_closely(grey, regions)
    if not search.codes:
        search.look_at_tiles(grey)
    search.look_further(grey, regions)
    codes = sorted(search.codes, key=lambda code: (code.box[1], code.box[0]))
    cut = [code for code in codes if _is_cut(code.box, grey.shape)]
    return CodeReading(
        codes=[code for code in codes if code not in cut],
        cut=cut,
        looks=search.looks,
        seconds=round(clock.spent_s(), 3),
        unseen=search.unseen,
    )


class _Clock:
    """A budget of seconds of processor time, guarded by the clock on the wall."""

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._began, self._began_at = time.process_time(), time.monotonic()

    def spent_s(self) -> float:
        return time.process_time() - self._began

    def is_over(self) -> bool:
        waited_s = time.monotonic() - self._began_at
        return self.spent_s() > self._budget_s or waited_s > PATIENCE * self._budget_s


@dataclass
class _Place:
    """How often a region was looked at, and what was read there as (symbology, text)."""

    looks: int = 0
    read: set[tuple[str, str]] = field(default_factory=set)


class _Search:
    """What was found so far in one image, and when to stop."""

    def __init__(self, formats: Any, clock: _Clock) -> None:
        self.codes: list[FoundCode] = []
        self.looks = 0
        self.unseen = 0
        self._places: dict[Box, _Place] = {}
        self._formats = formats
        self._clock = clock

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

    def look_closely(self, grey: Grey, regions: list[CodeRegion]) -> None:
        """Show the solidest in one way after another until what they hold is read."""
        solid = [each for each in regions if each.fill >= SOLID]
        solid.sort(key=lambda each: each.solidity, reverse=True)
        for rank, region in enumerate(solid[:SOLIDEST]):
            most = len(LOOKS) if rank < LIKELY else FIRST_LOOKS
            self._look_at_region(grey, region.box, most)

    def look_further(self, grey: Grey, regions: list[CodeRegion]) -> None:
        """Show in every way what is likelier than the last place that held a code, and alike.

        While there was no code, that is all of them, until there is one.
        """
        boxes, some = [region.box for region in regions[:LIKELIEST]], bool(self.codes)
        for box in self._alike(boxes) if some else boxes:
            self._look_at_region(grey, box, len(EVERY_LOOK))
            if self.codes and not some:
                return

    def _alike(self, boxes: list[Box]) -> list[Box]:
        """Those before the last that held a code, but not what is far larger: leaves."""
        held = [rank for rank, box in enumerate(boxes) if self._is_explained(box)]
        longest = ALIKE * max((_side(boxes[rank]) for rank in held), default=0)
        return [box for box in boxes[: max(held, default=0)] if _side(box) <= longest]

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

    def _look_at_region(self, grey: Grey, box: Box, most: int) -> None:
        """Go on looking at a region, until it had so many looks or what it holds is read.

        Bars have one check digit or none, and lettering that was worked on can pass for them:
        bars count once two looks agree. A code seen but not read is worth patience.
        """
        place = self._places.setdefault(box, _Place())
        if self._is_explained(box) or place.looks >= most:
            return
        if self._is_over():
            self.unseen += place.looks == 0
            return
        x, y, width, height = box
        part = np.ascontiguousarray(grey[y : y + height, x : x + width])
        for look in looks_at(part, EVERY_LOOK[place.looks :]):
            place.looks += 1
            codes, seen_only = self._read(look, box[:2])
            most = max(most, len(LOOKS)) if seen_only else most
            for code in codes:
                what = (code.symbology, code.text)
                if code.symbology in CORRECTED or what in place.read:
                    self._keep(code)
                place.read.add(what)
            if place.looks >= most or self._is_explained(box) or self._is_over():
                return

    def _read(self, look: Look, corner: tuple[int, int]) -> tuple[list[FoundCode], bool]:
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
                codes.append(FoundCode(text, str(seen.format), box, look.how))
        return codes, not all(seen.valid for seen in found)

    def _keep(self, code: FoundCode) -> None:
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
        return self._clock.is_over()


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


def _side(box: Box) -> int:
    return max(box[2:])


def _is_same(code: FoundCode, other: FoundCode) -> bool:
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
