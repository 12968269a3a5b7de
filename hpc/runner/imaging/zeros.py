"""Bytes that were never written: how many at the end of a file, or of its pixels, are zero.

A copy that makes the file in its full size first and is cut short leaves the rest as zeros.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import IO

CUT_SHARE = 0.05
"""Of an unpacked picture's bytes, zeros at its end: more than a stacked picture's dark rim."""
READ_AT_ONCE = 1 << 20


def zeros_at_end(path: Path, parts: Iterable[tuple[int, int]]) -> int:
    """How many bytes at the end of `parts` (offset, bytes), as they lie in the file, are zero."""
    zeros = 0
    with path.open("rb") as file:
        for offset, count in sorted(parts, reverse=True):
            more = _in_part(file, offset, count)
            zeros += more
            if more < count:
                break
    return zeros


def _in_part(file: IO[bytes], offset: int, count: int) -> int:
    zeros, end = 0, offset + count
    while end > offset:
        start = max(offset, end - READ_AT_ONCE)
        file.seek(start)
        content = file.read(end - start)
        kept = len(content.rstrip(b"\0"))
        zeros += len(content) - kept
        if kept:
            break
        end = start
    return zeros
