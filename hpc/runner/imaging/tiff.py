"""The directories of a TIFF file: the tags of each of its pictures.

Both byte orders, classic and BigTIFF, the chain of pages and the pictures inside a page
(SubIFDs, where a DNG keeps its full picture). Nothing is decoded.
"""

import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

OFFSETS, COUNTS, TILE_OFFSETS, TILE_COUNTS = 273, 279, 324, 325
SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION = 254, 255, 256, 257, 258, 259
PHOTOMETRIC, SAMPLES, X_RESOLUTION, Y_RESOLUTION, UNIT = 262, 277, 282, 283, 296
SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT = 330, 338, 339
WANTED = frozenset(
    {
        *(OFFSETS, COUNTS, TILE_OFFSETS, TILE_COUNTS),
        *(SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION),
        *(PHOTOMETRIC, SAMPLES, X_RESOLUTION, Y_RESOLUTION, UNIT),
        *(SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT),
    }
)
DAMAGED = (struct.error, OverflowError, ValueError)
"""What reading a damaged directory raises."""
MAX_PAGES = 1000
MAX_VALUES = 10_000_000
"""Of one entry; a picture cut into more parts than that is a bomb."""
KINDS = {1: "B", 3: "H", 4: "L", 5: "LL", 6: "b", 8: "h", 9: "l", 13: "L", 16: "Q", 18: "Q"}
"""How the kinds of numbers are stored; 5 are fractions, 13 and 18 places of directories."""


@dataclass(frozen=True)
class Directory:
    """One picture: `page` in the chain from 0, `sub` within that page or None; its tags."""

    page: int
    sub: int | None
    tags: dict[int, tuple[Any, ...]]

    def first(self, tag: int, default: int = 0) -> int:
        """The first value of a tag that holds whole numbers."""
        return int((self.tags.get(tag) or (default,))[0])

    @property
    def pixels(self) -> int:
        return self.first(WIDTH) * self.first(HEIGHT)

    @property
    def parts(self) -> list[tuple[int, int]]:
        """Offset and bytes of each strip or tile; empty where the file does not name them."""
        for offsets, counts in ((TILE_OFFSETS, TILE_COUNTS), (OFFSETS, COUNTS)):
            if offsets in self.tags:
                return list(zip(self.tags[offsets], self.tags.get(counts, ()), strict=False))
        return []


@dataclass(frozen=True)
class TiffForm:
    """How a file writes numbers: byte order, and that with the widths of counts and places."""

    order: str
    count: str
    place: str

    @property
    def place_bytes(self) -> int:
        """Bytes of a place; so far into the file stands that of the first directory."""
        return struct.calcsize(self.place)

    @property
    def entry_bytes(self) -> int:
        """Bytes of an entry: tag, kind, count, and the value or its place."""
        return 4 + 2 * self.place_bytes


def directories(path: Path) -> list[Directory]:
    """The pictures of a TIFF file, as far as they can be read; none: it is no TIFF."""
    found: list[Directory] = []
    with path.open("rb") as file:
        form, at = form_of(file.read(16))
        seen: set[int] = set()
        while form and at and at not in seen and len(found) < MAX_PAGES:
            page = len(seen)
            seen.add(at)
            try:
                tags, following = _read(file, at, form)
            except DAMAGED:
                break  # what decodes the pixels will fail
            found.append(Directory(page, None, tags))
            for sub, sub_at in enumerate(tags.get(SUB_DIRECTORIES, ())[:MAX_PAGES]):
                with suppress(*DAMAGED):
                    found.append(Directory(page, sub, _read(file, sub_at, form)[0]))
            at = following
    return found


def form_of(head: bytes) -> tuple[TiffForm | None, int]:
    """How the numbers of a file that begins so are written, and where its first page is."""
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        return None, 0
    widths = {42: "HL", 43: "QQ"}.get(struct.unpack(order + "H", head[2:4])[0])
    if widths is None:
        return None, 0
    form = TiffForm(order, order + widths[0], order + widths[1])
    return form, struct.unpack_from(form.place, head, form.place_bytes)[0]


def _read(file: IO[bytes], at: int, form: TiffForm) -> tuple[dict[int, tuple[Any, ...]], int]:
    """The tags wanted of the directory at `at`, and where the next page is (0: nowhere)."""
    _go_to(file, at)
    entries = number(file, form.count)
    if entries > 65535:
        raise ValueError("more tags than there are numbers for them")
    raw = file.read(entries * form.entry_bytes)
    following = number(file, form.place)
    tags = {}
    for start in range(0, len(raw), form.entry_bytes):
        tag, kind, count = struct.unpack_from(form.order + "HH" + form.place[1], raw, start)
        if tag in WANTED and kind in KINDS:
            end = start + form.entry_bytes
            tags[tag] = _values(file, kind, count, raw[end - form.place_bytes : end], form)
    return tags, following


def _values(
    file: IO[bytes], kind: int, count: int, value: bytes, form: TiffForm
) -> tuple[Any, ...]:
    """The numbers of one entry; a fraction whose lower part is 0 is 0."""
    if count > MAX_VALUES:
        raise ValueError("an entry with too many values")
    layout = form.order + KINDS[kind] * count
    size = struct.calcsize(layout)
    if size > len(value):
        _go_to(file, struct.unpack(form.place, value)[0])
        value = file.read(size)
    numbers = struct.unpack(layout, value[:size])
    if kind != 5:
        return numbers
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(above / below if below else 0.0 for above, below in pairs)


def _go_to(file: IO[bytes], at: int) -> None:
    if at >= os.fstat(file.fileno()).st_size:
        raise ValueError("a place beyond the end of the file")
    file.seek(at)


def number(file: IO[bytes], layout: str) -> int:
    """The whole number that comes next in a file. Raises struct.error at its end."""
    return int(struct.unpack(layout, file.read(struct.calcsize(layout)))[0])
