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

from hpc.runner.imaging.tiff import TiffForm, form_of, number

EXIF, GPS = 0x8769, 0x8825
TEXTS = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
"""ImageDescription, Make, Model, Software, DateTime, Artist, Copyright."""
LONG8 = 16
"""The kind of a number of eight bytes, such as a place beyond 4 GB."""
BROKEN = (struct.error, ValueError, SyntaxError, KeyError, TypeError, OverflowError, EOFError)
"""What a damaged directory makes the parser raise; the image itself may be sound."""

Tags = dict[int, Any]


HEAD = b"II*\0" + struct.pack("<L", 8)
"""Of a small TIFF, as an EXIF block is one: its directory follows."""


def tags_of_tiff(path: Path) -> Tags:
    """The carried tags of a TIFF file; none when its directory is damaged."""
    with path.open("rb") as source:
        return _carried(source)


def tags_of_blob(blob: bytes) -> Tags:
    """The carried tags of an EXIF block, as JPEG and PNG hold it; none when it is damaged."""
    return _carried(io.BytesIO(blob.removeprefix(b"Exif\0\0")))


def blob_of(tags: Tags) -> bytes:
    """An EXIF block for a JPEG."""
    return b"Exif\0\0" + HEAD + _directory(tags, len(HEAD), HEAD)


def graft(path: Path, tags: Tags) -> bool:
    """Add `tags` to a little-endian TIFF; what it holds already stays. False: another kind."""
    with path.open("r+b") as file:
        head = file.read(16)
        form, own_at = form_of(head)
        if form is None or form.order != "<":
            return False
        own = _entries(file, own_at, form)
        missing = {tag: value for tag, value in tags.items() if tag not in own}
        values_at = _even_end(file)
        file.write(_directory(missing, values_at, head[: 2 * form.place_bytes]))
        added = _entries(file, values_at, form)
        if form.place_bytes == 8:
            for tag in added.keys() & {EXIF, GPS}:  # the writer gives their places four bytes
                added[tag] = added[tag][:2] + struct.pack("<H", LONG8) + added[tag][4:]
        merged = sorted({**added, **own}.items())
        directory_at = _even_end(file)
        file.write(struct.pack(form.count, len(merged)))
        file.write(b"".join(entry for _, entry in merged) + struct.pack(form.place, 0))
        # Last of all: until the header points there, the file is what it was.
        file.seek(form.place_bytes)
        file.write(struct.pack(form.place, directory_at))
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


def _directory(tags: Tags, offset: int, head: bytes) -> bytes:
    """A directory to stand at `offset` of a TIFF that begins so, its values after it."""
    directory = ImageFileDirectory_v2(head)
    for tag, value in tags.items():
        directory[tag] = value
    return bytes(directory.tobytes(offset))


def _entries(file: IO[bytes], offset: int, form: TiffForm) -> dict[int, bytes]:
    """The raw entries of the directory at `offset`, by tag."""
    file.seek(offset)
    entries = [file.read(form.entry_bytes) for _ in range(number(file, form.count))]
    return {struct.unpack("<H", entry[:2])[0]: entry for entry in entries}


def _even_end(file: IO[bytes]) -> int:
    """The end of the file, where directories may stand: at an even place."""
    end = file.seek(0, io.SEEK_END)
    file.write(b"\0" * (end % 2))
    return end + end % 2
