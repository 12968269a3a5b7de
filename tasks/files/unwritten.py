"""Whether a part of an image was never written, though its file has its full size.

Decoders show such zeros as black and go on, so they are looked for in the bytes themselves.
What is found is no proof: a picture may be black. A person decides (see `tasks.intake.ingest`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from hpc.runner.imaging import tiff
from hpc.runner.imaging.pages import lesser
from hpc.runner.imaging.tiff import Directory
from hpc.runner.imaging.zeros import CUT_SHARE, zeros_at_end
from tasks.errors import named
from tasks.files.images import INSPECTING

TAIL_SHARE = 0.01
MIN_TAIL, MAX_TAIL = 4096, 64 << 10
"""Zeros at the end of a file, in bytes, that are no padding: a hundredth of it, within these."""
MIN_PACKED = 16
"""Bytes of a packed strip from which on zeros say something."""
PIECE = 64 << 10
"""Bytes of a strip that are looked at as one: a picture may lie in a single strip."""
PROBE = 512
UNPACKED = 1


async def look_for_unwritten(path: Path) -> str | None:
    """`unwritten_part` in a thread, one image at a time."""
    return await INSPECTING.run(lambda _: unwritten_part(path))


def unwritten_part(path: Path) -> str | None:
    """What of an image is all zero as if never written, in words; None: nothing is.

    Packed pixels are never zero for long. Unpacked ones may be black: there zeros count from
    CUT_SHARE of the picture on, and not in masks or smaller copies. Raises a FileError.
    """
    try:
        pictures = [each for each in tiff.directories(path) if each.parts]
        found = (_of_picture(path, each) for each in pictures)
        if part := next((part for part in found if part), None):
            return part
        if pictures and _unpacked(max(pictures, key=_end)):
            return None  # the file may end with the black rim of its pixels, judged above
        return _of_file(path)
    except OSError as error:
        raise named(error, path, reading=True) from error


def _of_file(path: Path) -> str | None:
    size = path.stat().st_size
    zeros = zeros_at_end(path, [(0, size)])
    if zeros < min(MAX_TAIL, max(MIN_TAIL, TAIL_SHARE * size)):
        return None
    return f"the last {_share(zeros, size)} of its bytes are all zero"


def _of_picture(path: Path, picture: Directory) -> str | None:
    """The same of one picture of a TIFF, or of a raw that is one inside."""
    packed = not _unpacked(picture)
    if not packed and lesser(picture):
        return None  # a mask may be empty, and thumbnails have black bars
    least = MIN_PACKED if packed else 1
    parts = [(offset, count) for offset, count in picture.parts if count >= least]
    total = sum(count for _, count in parts)
    empty, zeros = _zeros_in(path, parts)
    at_end = zeros_at_end(path, parts)
    if not (packed and zeros) and max(at_end, zeros) < max(1, CUT_SHARE * total):
        return None
    if empty and len(parts) > 1:
        kind = "tiles" if tiff.TILE_OFFSETS in picture.tags else "strips"
        return f"{empty} of its {len(parts)} {kind} are all zero"
    if at_end >= zeros:
        return f"the last {_share(at_end, total)} of its pixels are all zero"
    return f"{_share(zeros, total)} of its pixels are all zero"


def _end(picture: Directory) -> int:
    return max(offset + count for offset, count in picture.parts)


def _unpacked(picture: Directory) -> bool:
    return picture.first(tiff.COMPRESSION, UNPACKED) == UNPACKED


def _zeros_in(path: Path, parts: list[tuple[int, int]]) -> tuple[int, int]:
    """(how many strips or tiles are all zero, how many bytes in pieces of them are)."""
    empty = in_bytes = 0
    with path.open("rb") as file:
        for offset, count in parts:
            zeros = sum(size for at, size in _pieces(offset, count) if _is_zero(file, at, size))
            in_bytes += zeros
            empty += zeros == count
    return empty, in_bytes


def _pieces(offset: int, count: int) -> Iterator[tuple[int, int]]:
    """Even pieces of a part, each of PIECE bytes or a little more; a smaller part is one."""
    many = max(1, count // PIECE)
    for n in range(many):
        start, end = n * count // many, (n + 1) * count // many
        yield offset + start, end - start


def _is_zero(file: IO[bytes], offset: int, count: int) -> bool:
    """Whether a piece is there and all zero; most are known by their beginning."""
    file.seek(offset)
    head = file.read(min(PROBE, count))
    if head.strip(b"\0"):
        return False
    rest = file.read(count - len(head))
    return len(head) + len(rest) == count and not rest.strip(b"\0")


def _share(part: int, total: int) -> str:
    return f"{max(1, round(100 * part / total))} %"
