"""EXIF that travels with a derivative: camera, date, author and the camera's settings.

libvips carries EXIF from JPEG to JPEG only. A TIFF keeps these facts in its own directory,
so they are read from there, or grafted onto it: a new directory is appended to the file and
the header pointed to it; the pixels stay where they are.
"""

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

EXIF, GPS = 0x8769, 0x8825
TEXTS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""ImageDescription, Make, Model, Software, DateTime, Artist, Copyright."""
LONG8 = 16
"""The kind of a number of eight bytes, such as a place beyond 4 GB."""
BROKEN = (struct.error, ValueError, SyntaxError, KeyError, TypeError, OverflowError, EOFError)
"""What a damaged directory makes the parser raise; the image itself may be sound."""

Tags = dict[int, Any]


@dataclass(frozen=True)
class _Kind:
    """How a little-endian TIFF counts its entries and says where things are."""

    head: bytes
    place: str
    count: str
    entry: int

    @property
    def place_at(self) -> int:
        """Where the header says where the directory is."""
        return len(self.head) - struct.calcsize(self.place)


CLASSIC = _Kind(b"II*\0" + struct.pack("<L", 8), "<L", "<H", 12)
BIG = _Kind(b"II+\0\x08\0\0\0" + struct.pack("<Q", 16), "<Q", "<Q", 20)


def tags_of_tiff(path: Path) -> Tags:
    """The carried tags of a TIFF file; none when its directory is damaged."""
    with path.open("rb") as source:
        return _carried(source)


def tags_of_blob(blob: bytes) -> Tags:
    """The carried tags of an EXIF block, as JPEG and PNG hold it; none when it is damaged."""
    return _carried(io.BytesIO(blob.removeprefix(b"Exif\0\0")))


def blob_of(tags: Tags) -> bytes:
    """An EXIF block for a JPEG."""
    return b"Exif\0\0" + CLASSIC.head + _directory(tags, 8, CLASSIC)


def graft(path: Path, tags: Tags) -> bool:
    """Add `tags` to a little-endian TIFF; what it says already stays. False: another kind."""
    with path.open("r+b") as file:
        start = file.read(4)
        kind = next((kind for kind in (CLASSIC, BIG) if kind.head[:4] == start), None)
        if kind is None:
            return False
        file.seek(kind.place_at)
        own = _entries(file, _number(file, kind.place), kind)
        missing = {tag: value for tag, value in tags.items() if tag not in own}
        values_at = _even_end(file)
        file.write(_directory(missing, values_at, kind))
        added = _entries(file, values_at, kind)
        if kind is BIG:
            added = {tag: _with_long_place(tag, entry) for tag, entry in added.items()}
        merged = sorted({**added, **own}.items())
        directory_at = _even_end(file)
        file.write(struct.pack(kind.count, len(merged)))
        file.write(b"".join(entry for _, entry in merged) + struct.pack(kind.place, 0))
        # Last of all: until the header points there, the file is what it was.
        file.seek(kind.place_at)
        file.write(struct.pack(kind.place, directory_at))
    return True


def _carried(source: IO[bytes]) -> Tags:
    try:
        head = source.read(8)
        if len(head) == 8 and head[2:4] in (b"\x2b\0", b"\0\x2b"):
            head += source.read(8)
        main = ImageFileDirectory_v2(head)
        source.seek(main.next)
        main.load(source)
        tags: Tags = {tag: main[tag] for tag in TEXTS if tag in main}
        for pointer in (EXIF, GPS):
            if isinstance(place := main.get(pointer), int):
                source.seek(place)
                inner = ImageFileDirectory_v2(head)
                inner.load(source)
                tags[pointer] = {tag: inner[tag] for tag in inner if tag != 0x927C}
    except BROKEN:
        return {}
    return tags


def _directory(tags: Tags, offset: int, kind: _Kind) -> bytes:
    """A TIFF directory to stand at `offset` of a file, its values after it."""
    directory = ImageFileDirectory_v2(kind.head)
    for tag, value in tags.items():
        directory[tag] = value
    return bytes(directory.tobytes(offset))


def _entries(file: IO[bytes], offset: int, kind: _Kind) -> dict[int, bytes]:
    """The raw entries of the directory at `offset`, by tag."""
    file.seek(offset)
    entries = [file.read(kind.entry) for _ in range(_number(file, kind.count))]
    return {struct.unpack("<H", entry[:2])[0]: entry for entry in entries}


def _with_long_place(tag: int, entry: bytes) -> bytes:
    """An inner directory's entry that holds its place in eight bytes; the writer says four."""
    if tag not in (EXIF, GPS):
        return entry
    return entry[:2] + struct.pack("<H", LONG8) + entry[4:]


def _number(file: IO[bytes], form: str) -> int:
    (number,) = struct.unpack(form, file.read(struct.calcsize(form)))
    return int(number)


def _even_end(file: IO[bytes]) -> int:
    """The end of the file, where directories may stand: at an even place."""
    end = file.seek(0, io.SEEK_END)
    file.write(b"\0" * (end % 2))
    return end + end % 2
