"""What a module prints: kept in a file of its line while it runs.

A module runs in our own process, and libraries in C print past Python. So the process's own
stdout and stderr lead to that file meanwhile. Where that cannot be done they are left alone:
no work fails for what it printed.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

STREAMS = (1, 2)


@contextmanager
def printed_to(path: Path) -> Iterator[None]:
    """Within the block, what this process and its children print goes to a new file.

    Line by line: a process that is killed takes what it holds back along.
    """
    _by_lines()
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


def _by_lines() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()
