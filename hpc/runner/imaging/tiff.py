"""The directories of a TIFF file: what each of its pictures says of itself.

Both byte orders, classic and BigTIFF, the chain of pages and the pictures inside a page
(SubIFDs, where a DNG keeps its full picture). Nothing is decoded.
"""

import os
import struct
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
        """Offset and bytes of each strip or tile; empty where the file does not say."""
        for offsets, counts in ((TILE_OFFSETS, TILE_COUNTS), (OFFSETS, COUNTS)):
            if offsets in self.tags:
                return list(zip(self.tags[offsets], self.tags.get(counts, ()), strict=False))
        return []


@dataclass(frozen=True)
class _Form:
    """How this file writes numbers: byte order, and the widths of counts and places."""

    order: str
    count: str
    place: str


def directories(path: Path) -> list[Directory]:
    """The pictures of a TIFF file, as far as they can be read; none: it is no TIFF."""
    found: list[Directory] = []
    with path.open("rb") as file:
        head = file.read(16)
        form, at = _form(head)
        seen: set[int] = set()
        while form and at and at not in seen and len(found) < MAX_PAGES:
            seen.add(at)
            try:
                tags, following = _read(file, at, form)
            except (struct.error, OverflowError, ValueError):
                break  # the rest is damaged; what decodes the pixels says so
            page = Directory(len(seen) - 1, None, tags)
            found.append(page)
            found += _inside(file, page, form)
            at = following
    return found


def _inside(file: IO[bytes], page: Directory, form: _Form) -> list[Directory]:
    inner = []
    for number, at in enumerate(page.tags.get(SUB_DIRECTORIES, ())[:MAX_PAGES]):
        try:
            tags, _ = _read(file, at, form)
        except (struct.error, OverflowError, ValueError):
            continue
        inner.append(Directory(page.page, number, tags))
    return inner


def _form(head: bytes) -> tuple[_Form | None, int]:
    """How the numbers of a file that begins so are written, and where its first page is."""
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        return None, 0
    kind = struct.unpack(order + "H", head[2:4])[0]
    if kind == 42:
        return _Form(order, "H", "L"), struct.unpack(order + "L", head[4:8])[0]
    if kind == 43:
        return _Form(order, "Q", "Q"), struct.unpack(order + "Q", head[8:16])[0]
    return None, 0


def _read(file: IO[bytes], at: int, form: _Form) -> tuple[dict[int, tuple[Any, ...]], int]:
    """The tags wanted of the directory at `at`, and where the next page is (0: nowhere)."""
    _go_to(file, at)
    (entries,) = _numbers(file, form.order + form.count)
    if entries > 65535:
        raise ValueError("more tags than there are numbers for them")
    width = struct.calcsize("=" + form.place)
    raw = file.read(int(entries) * (4 + 2 * width))
    (following,) = _numbers(file, form.order + form.place)
    tags = {}
    for start in range(0, len(raw), 4 + 2 * width):
        tag, kind, count = struct.unpack_from(form.order + "HH" + form.place, raw, start)
        if tag in WANTED and kind in KINDS:
            value = raw[start + 4 + width : start + 4 + 2 * width]
            tags[tag] = _values(file, kind, count, value, form)
    return tags, int(following)


def _values(file: IO[bytes], kind: int, count: int, value: bytes, form: _Form) -> tuple[Any, ...]:
    """The numbers of one entry; a fraction whose lower part is 0 is 0."""
    if count > MAX_VALUES:
        raise ValueError("an entry with too many values")
    layout = form.order + KINDS[kind] * count
    size = struct.calcsize(layout)
    if size > len(value):
        _go_to(file, struct.unpack(form.order + form.place, value)[0])
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


def _numbers(file: IO[bytes], layout: str) -> tuple[int, ...]:
    return struct.unpack(layout, file.read(struct.calcsize(layout)))
