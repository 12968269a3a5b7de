"""EXIF that travels with a derivative: camera, date, author and the camera's settings.

libvips carries EXIF from JPEG to JPEG only. A TIFF keeps these facts in its own directory,
so they are read from there, or grafted onto it: a new directory is appended to the file and
the header pointed to it; the pixels stay where they are.
"""

import io
import struct
from pathlib import Path
from typing import IO, Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

EXIF, GPS = 0x8769, 0x8825
TEXTS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""ImageDescription, Make, Model, Software, DateTime, Artist, Copyright."""
LITTLE = b"II*\0\x08\0\0\0"
BROKEN = (struct.error, ValueError, SyntaxError, KeyError, TypeError, OverflowError, EOFError)
"""What a damaged directory makes the parser raise; the image itself may be sound."""

Tags = dict[int, Any]


def tags_of_tiff(path: Path) -> Tags:
    """The carried tags of a TIFF file; none when its directory is damaged."""
    with path.open("rb") as source:
        return _carried(source)


def tags_of_blob(blob: bytes) -> Tags:
    """The carried tags of an EXIF block, as JPEG and PNG hold it; none when it is damaged."""
    return _carried(io.BytesIO(blob.removeprefix(b"Exif\0\0")))


def blob_of(tags: Tags) -> bytes:
    """An EXIF block for a JPEG."""
    return b"Exif\0\0" + LITTLE + _directory(tags, 8)


def graft(path: Path, tags: Tags) -> bool:
    """Add `tags` to a little-endian TIFF; what it says already stays. False: another kind."""
    with path.open("r+b") as file:
        head = file.read(8)
        if head[:4] != LITTLE[:4]:
            return False
        own = _entries(file, struct.unpack("<L", head[4:])[0])
        end = file.seek(0, io.SEEK_END)
        start = end + end % 2
        block = b"\0" * (end % 2) + _directory(
            {k: v for k, v in tags.items() if k not in own}, start
        )
        file.write(block)
        merged = sorted({**_entries(file, start), **own}.items())
        at = file.seek(0, io.SEEK_END)
        file.write(b"\0" * (at % 2))
        file.write(struct.pack("<H", len(merged)) + b"".join(entry for _, entry in merged))
        file.write(struct.pack("<L", 0))
        # Last of all: until the header points there, the file is what it was.
        file.seek(4)
        file.write(struct.pack("<L", at + at % 2))
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


def _directory(tags: Tags, offset: int) -> bytes:
    """A TIFF directory to stand at `offset` of a file, its values after it."""
    directory = ImageFileDirectory_v2(LITTLE)
    for tag, value in tags.items():
        directory[tag] = value
    return bytes(directory.tobytes(offset))


def _entries(file: IO[bytes], offset: int) -> dict[int, bytes]:
    """The raw 12-byte entries of the directory at `offset`, by tag."""
    file.seek(offset)
    (count,) = struct.unpack("<H", file.read(2))
    entries = [file.read(12) for _ in range(count)]
    return {struct.unpack("<H", entry[:2])[0]: entry for entry in entries}
