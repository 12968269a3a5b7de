"""Machine-readable codes in an image: every one a person can see, and none else.

First the frame is read. Then what is textured like a code and was not read: enlarged, turned,
thresholded. A frame that gave nothing is also read in tiles, since a reader samples lines of a
frame and misses what lies between them. Last come further variants of the regions that are
likelier than one that held a code; of all of them while there was none. All within a budget of
processor time: on a busy machine as much is read as on a quiet one.
"""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyvips
import zxingcpp

from hpc.runner.errors import BadInput
from hpc.runner.imaging.code_regions import CodeRegion, code_regions
from hpc.runner.imaging.picture import Grey, as_grey
from hpc.runner.imaging.rectangle import Box
from hpc.runner.imaging.variants import ALL_RECIPES, FIRST_RECIPES, MAIN_RECIPES, Variant, variants

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
"""These carry enough check symbols to be believed once read."""
NUL = "\N{SYMBOL FOR NULL}"
BUDGET_S = 20.0
"""Seconds of processor time, of all threads."""
MAX_WALL_TIMES = 15
"""Times the budget, on the clock: something else is wrong by then."""
MIN_SOLID_FILL, MAX_SOLID, MAX_SOLID_MAIN = 0.4, 20, 8
"""Of the regions that fill so much of their box, so many are read after the first recipes, and
so many of these after the main ones. The weak ones have their turn when these gave nothing."""
MAX_LIKELY = 40
"""So many regions at most are read after every recipe then."""
MAX_TIMES_LONGER = 1.5
"""A region is like another up to so many times its longer side."""
MIN_SPANNED = 0.45
EDGE = 2
"""Pixels from the frame: a code that near is cut, and belongs to a neighbour left out of it."""
TILE, TILE_OVERLAP = 1000, 250
ENLARGED_SCALE = 1.5
MAX_PIXELS_TO_ENLARGE = 24_000_000
MAX_FRAME_PIXELS = 150_000_000
"""Pixels the reader is shown at once: it needs as much memory again, and more."""
FRAME_PART, FRAME_PART_OVERLAP = 10_000, 1_500


@dataclass(frozen=True)
class FoundCode:
    """`box` is in pixels of the upright image; `how` names the variant that showed it."""

    text: str
    symbology: str
    box: Box
    how: str


@dataclass(frozen=True)
class CodeReading:
    """What was read of one image.

    `cut`: codes that the frame's edge cuts; they belong to a neighbour left out of the image.
    `reads`: how often the reader was asked. `seconds` are of processor time. `unread`: places
    left when the budget was spent.
    """

    codes: list[FoundCode]
    cut: list[FoundCode]
    reads: int
    seconds: float
    unread: int


def read_codes(
    grey: Grey, formats: tuple[str, ...] = FORMATS, budget_s: float = BUDGET_S
) -> CodeReading:
    """The codes, top to bottom. Raises BadInput for an unknown format name."""
    clock = _Clock(budget_s)
    search = _Search(grey, [_format(name) for name in formats], clock)
    regions = code_regions(grey)
    search.read_frame()
    search.read_solid(regions)
    if not search.codes:
        search.read_tiles()
    search.read_likely([region.box for region in regions[:MAX_LIKELY]])
    codes = sorted(search.codes, key=lambda code: (code.box.y, code.box.x))
    cut = [code for code in codes if min(code.box.gaps(grey.shape)) <= EDGE]
    return CodeReading(
        codes=[code for code in codes if code not in cut],
        cut=cut,
        reads=search.reads,
        seconds=round(clock.spent_s(), 3),
        unread=search.unread,
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
        return self.spent_s() > self._budget_s or waited_s > MAX_WALL_TIMES * self._budget_s


@dataclass
class _RegionState:
    """How many variants of a region were read, and what was there as (symbology, text)."""

    variants: int = 0
    read: set[tuple[str, str]] = field(default_factory=set)


class _Search:
    """What was found so far in one image, and when to stop."""

    def __init__(self, grey: Grey, formats: Any, clock: _Clock) -> None:
        self.codes: list[FoundCode] = []
        self.reads = 0
        self.unread = 0
        self._regions: defaultdict[Box, _RegionState] = defaultdict(_RegionState)
        self._grey = grey
        self._formats = formats
        self._clock = clock

    def read_frame(self) -> None:
        """The frame at once or, where that is too large, in a few large parts."""
        if self._grey.size <= MAX_FRAME_PIXELS:
            self._read_all(Variant("frame", self._grey))
        else:
            self._read_squares(FRAME_PART, FRAME_PART_OVERLAP, "part of frame")

    def read_solid(self, regions: list[CodeRegion]) -> None:
        """The solidest regions, after one recipe after another until what they hold is read."""
        solid = [region for region in regions if region.fill >= MIN_SOLID_FILL]
        solid.sort(key=lambda region: region.solidity, reverse=True)
        for rank, region in enumerate(solid[:MAX_SOLID]):
            recipes = MAIN_RECIPES if rank < MAX_SOLID_MAIN else FIRST_RECIPES
            self._read_region(region.box, len(recipes))

    def read_likely(self, boxes: list[Box]) -> None:
        """After every recipe, what is likelier than the last region that held a code, and alike.

        While there was no code, that is all of them, until there is one.
        """
        had_some = bool(self.codes)
        for box in self._alike(boxes) if had_some else boxes:
            self._read_region(box, len(ALL_RECIPES))
            if self.codes and not had_some:
                return

    def _alike(self, boxes: list[Box]) -> list[Box]:
        """Those before the last that held a code, but not what is far larger: leaves."""
        explained = [rank for rank, box in enumerate(boxes) if self._is_explained(box)]
        max_side = MAX_TIMES_LONGER * max((_side(boxes[rank]) for rank in explained), default=0)
        return [box for box in boxes[: max(explained, default=0)] if _side(box) <= max_side]

    def read_tiles(self) -> None:
        """The frame in overlapping tiles, and enlarged where it is not too large for that."""
        grey = self._grey
        if max(grey.shape) > TILE:
            self._read_squares(TILE, TILE_OVERLAP, "tile")
        if grey.size <= MAX_PIXELS_TO_ENLARGE and not self.codes and not self._clock.is_over():
            enlarged = as_grey(pyvips.Image.new_from_array(grey).resize(ENLARGED_SCALE))
            self._read_all(Variant("enlarged", enlarged, ENLARGED_SCALE))

    def _read_squares(self, side: int, overlap: int, how: str) -> None:
        """Squares of that side, each overlapping the next."""
        tops, lefts = (
            range(0, max(1, length - overlap), side - overlap) for length in self._grey.shape
        )
        for left, top in ((left, top) for top in tops for left in lefts):
            if self._clock.is_over():
                self.unread += 1
                continue
            square = Box(left, top, side, side)
            self._read_all(Variant(how, self._part(square)), square)

    def _read_region(self, box: Box, max_variants: int) -> None:
        """Read variants of a region, until there were so many or what it holds is read.

        Bars have one check digit or none, and lettering that was worked on can pass for them:
        bars count once two variants agree. A code seen but not read is worth more of them.
        """
        region = self._regions[box]
        if self._is_explained(box) or region.variants >= max_variants:
            return
        if self._clock.is_over():
            self.unread += region.variants == 0
            return
        for variant in variants(self._part(box), ALL_RECIPES[region.variants :]):
            region.variants += 1
            codes, is_unclear = self._read(variant, box)
            max_variants = max(max_variants, len(MAIN_RECIPES) if is_unclear else 0)
            for code in codes:
                what = (code.symbology, code.text)
                if code.symbology in CORRECTED or what in region.read:
                    self._keep(code)
                region.read.add(what)
            done = region.variants >= max_variants or self._is_explained(box)
            if done or self._clock.is_over():
                return

    def _part(self, box: Box) -> Grey:
        return np.ascontiguousarray(self._grey[box.pixels()])

    def _read_all(self, variant: Variant, part: Box | None = None) -> None:
        """Keep every code that a variant of a part, or of the frame, shows."""
        codes, _ = self._read(variant, part)
        for code in codes:
            self._keep(code)

    def _read(self, variant: Variant, part: Box | None) -> tuple[list[FoundCode], bool]:
        """The codes of one variant, and whether there was one that cannot be made out."""
        self.reads += 1
        found = zxingcpp.read_barcodes(
            variant.pixels,
            formats=self._formats,
            text_mode=zxingcpp.TextMode.Plain,
            return_errors=True,
        )
        codes = []
        for seen in found:
            # As read, line breaks and separators too; only a NUL is in no database's text.
            text = seen.text.replace("\0", NUL)
            if seen.valid and text.strip():
                box = _box(seen.position, variant, part[:2] if part else (0, 0))
                codes.append(FoundCode(text, str(seen.format), box, variant.how))
        return codes, not all(seen.valid for seen in found)

    def _keep(self, code: FoundCode) -> None:
        if not any(_is_same(code, kept) for kept in self.codes):
            self.codes.append(code)

    def _is_explained(self, region: Box) -> bool:
        """Whether the codes read in `region` span half of it: next to one, there may be another."""
        axis = 0 if region.width >= region.height else 1
        inside = [code.box for code in self.codes if _lies_in(code.box, region)]
        begin = min((box[axis] for box in inside), default=0)
        end = max((box[axis] + box[axis + 2] for box in inside), default=0)
        return end - begin >= MIN_SPANNED * region[axis + 2]


def _format(name: str) -> Any:
    known = getattr(zxingcpp.BarcodeFormat, name, None)
    if known is None:
        raise BadInput(f"params.formats: {name!r} is no code format; known are e.g. {FORMATS}")
    return known


def _box(at: Any, variant: Variant, corner: tuple[int, int]) -> Box:
    """The upright box around a code, in pixels of the frame."""
    corners = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
    points = np.array([variant.in_part(point.x, point.y) for point in corners]) + corner
    x, y = (round(value) for value in points.min(axis=0))
    right, bottom = (round(value) for value in points.max(axis=0))
    return Box(x, y, max(1, right - x), max(1, bottom - y))


def _side(box: Box) -> int:
    return max(box.width, box.height)


def _is_same(code: FoundCode, other: FoundCode) -> bool:
    """The same text, not further away than the code is large: bars are seen in part."""
    if (code.text, code.symbology) != (other.text, other.symbology):
        return False
    (x, y), (other_x, other_y) = code.box.centre, other.box.centre
    return max(abs(x - other_x), abs(y - other_y)) <= max(_side(code.box), _side(other.box))


def _lies_in(box: Box, region: Box) -> bool:
    x, y = box.centre
    return 0 <= x - region.x <= region.width and 0 <= y - region.y <= region.height
