"""What a module prints: kept in a file of its line while it runs, and its end reported.

A module runs in our own process, and libraries in C print past Python. So the process's own
stdout and stderr lead to that file meanwhile. Where that cannot be done they are left alone:
no work fails for what it printed.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TAIL_LINES = 40
TAIL_BYTES = 8000
STREAMS = (1, 2)


def output_of(folder: Path, position: int) -> Path:
    """Where what a line of a batch prints is kept, in the batch's folder."""
    return folder / "log" / f"{position}.output"


@contextmanager
def printed_to(path: Path) -> Iterator[None]:
    """Within the block, what this process and its children print goes to a new file."""
    _flush()
    saved: dict[int, int] = {}
    with suppress(OSError):  # a job may have no streams, and the disk no room
        for number in STREAMS:
            saved[number] = os.dup(number)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        for number in STREAMS:
            os.dup2(file, number)
        os.close(file)
    try:
        yield
    finally:
        _flush()
        for number, before in saved.items():
            os.dup2(before, number)
            os.close(before)


def printed_end(path: Path) -> str:
    """The last lines of what was printed; empty when nothing was, or it cannot be read."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.replace("\0", "␀").strip().splitlines()[-TAIL_LINES:])


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
