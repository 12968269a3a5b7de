"""Damage in a JPEG that decodes to its end all the same.

libjpeg warns of coded pixels that end too early, and decodes the rest as grey. Of ones left
over, as where a damaged code swallowed others, it is silent: so it is decoded once more without
the last bytes, which a sound file cannot do without.
"""

import mmap
import re
from dataclasses import dataclass
from pathlib import Path

import pyvips

from hpc.runner.imaging.picture import image_errors

Bytes = bytes | mmap.mmap

MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
"""What ends the coded pixels; FF 00 is a byte of them, FF D0 to D7 divide them."""
END, START_OF_SCAN = 0xD9, 0xDA
WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers that no length follows."""
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
HUFFMAN = frozenset({BASELINE, EXTENDED, PROGRESSIVE})
LAST_BYTES = 4
HOLE = bytes(512)
"""A block of a disk that was never written; coded pixels are hardly ever that even."""
ENDED_EARLY = ("premature end", "found marker 0xd9")
"""Of libjpeg's warnings: in the middle of a row, and where a restart marker was to come."""
FLAT_ROWS = 16
"""The rows of one block, halved colours included: grey all over where data ended."""
STRIP, BEYOND, MAX_ROWS = 8, 64, 65_500


@dataclass(frozen=True)
class Frame:
    """Where things are in a JPEG: its coded pixels from `first` to `end` (None: it does not).

    `rows` tall, as given at `rows_at`; `v` is the most samples down a colour has.
    """

    first: int
    end: int | None
    kind: int = 0
    rows_at: int = 0
    rows: int = 0
    v: int = 1
    scans: int = 0


@dataclass(frozen=True)
class Damage:
    """`missing`: rows of it were never there; else a block or more shows something else."""

    missing: bool
    why: str


def damage_of(path: Path) -> Damage | None:
    """What is damaged in the first picture of a JPEG; None: nothing that can be seen.

    A flipped bit after which the code falls into step again is not seen. It is decoded twice.
    Raises BadInput for what cannot be decoded at all, Transient, OSError.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        frame = frame_of(data)
        if frame.end is None:
            return Damage(True, "it has no end")
        if frame.kind not in HUFFMAN:
            return None
        with image_errors(path):
            why = _warning(data, frame, 0)
            if why is None and _warning(data, frame, LAST_BYTES) is None:
                why = "its coded pixels do not end with its last row"
        if why is None:
            return None
        hole = data.find(HOLE, frame.first, frame.end) >= 0
    ended_early = any(words in why for words in ENDED_EARLY)
    return Damage(hole or (ended_early and _ends_flat(path)), why)


def frame_of(data: Bytes) -> Frame:
    """Read the markers of a JPEG up to the end of its first picture."""
    at, first, scans = 2, 0, 0
    header: dict[str, int] = {}
    while found := MARKER.search(data, at):
        kind, at = data[found.start() + 1], found.end()
        if kind == END:
            return Frame(first, found.start(), scans=scans, **header)
        if kind in WITHOUT_LENGTH:
            continue
        if kind in HUFFMAN and len(data) > at + 8 + 3 * data[min(at + 7, len(data) - 1)]:
            header = {
                "kind": kind,
                "rows_at": at + 3,
                "rows": int.from_bytes(data[at + 3 : at + 5], "big"),
                "v": max((data[at + 9 + 3 * n] & 15 for n in range(data[at + 7])), default=1),
            }
        at += int.from_bytes(data[at : at + 2], "big")
        if kind == START_OF_SCAN:
            first, scans = first or at, scans + 1
    return Frame(first, None)


def _warning(data: Bytes, frame: Frame, left_out: int) -> str | None:
    """What libjpeg warns of, without the last bytes if so asked. Raises pyvips.Error when the
    header cannot be read.

    libvips asks for warnings before each strip of rows, so those of the last come only with one
    more: the picture is made to claim some more, unless it was decoded in full (progressive) or a
    block row ahead (halved colours) before.
    """
    end = frame.end or len(data)
    content = bytearray(bytes(data[: end - left_out]).rstrip(b"\xff") + b"\xff\xd9")
    rows = frame.rows
    full_rows = -(-rows // STRIP) * STRIP
    ahead = frame.v > 1 or frame.kind == PROGRESSIVE or frame.scans > 1
    if not ahead and full_rows + BEYOND <= MAX_ROWS:
        content[frame.rows_at : frame.rows_at + 2] = (full_rows + BEYOND).to_bytes(2, "big")
        rows = full_rows + STRIP
    image = pyvips.Image.new_from_buffer(bytes(content), "", access="sequential", fail_on="warning")
    try:
        image.crop(0, 0, image.width, rows).avg()
    except pyvips.Error as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[-1].removeprefix("VipsJpeg: ").replace("; ", ", ") if lines else "damaged"
    return None


def _ends_flat(path: Path) -> bool:
    """Whether the last rows are of one colour all over, as where the data ended."""
    with image_errors(path):
        image = pyvips.Image.new_from_file(str(path), access="sequential", fail_on="error")
        rows = min(FLAT_ROWS, image.height)
        last = image.crop(0, image.height - rows, image.width, rows).copy_memory()
        return all(last[band].max() == last[band].min() for band in range(last.bands))
