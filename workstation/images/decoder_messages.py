"""Keeps what Pillow and its decoders say of odd files off the user's screen.

Pillow warns through Python; libtiff, inside it, writes to the process's error stream and offers
no other way. Both are set for the whole process, so one image at a time is looked at.
"""

import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_one_at_a_time = threading.Lock()


class DecoderMessages:
    """What a decoder wrote; `last` is its last line, or ""."""

    last = ""


@contextmanager
def kept_messages() -> Iterator[DecoderMessages]:
    """Let nothing through while an image is looked at; what was written is known afterwards.

    Where nothing goes wrong, what came meanwhile was another thread's, and is passed on.
    """
    messages = DecoderMessages()
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if sys.__stderr__ is None:
            # A program without a console: its stream of that number is somebody's file.
            yield messages
            return
        screen = os.dup(_STDERR)
        try:
            with tempfile.TemporaryFile() as kept:
                os.dup2(kept.fileno(), _STDERR)
                try:
                    yield messages
                except BaseException:
                    messages.last = _last_line(_written(kept.fileno(), screen))
                    raise
                os.write(screen, _written(kept.fileno(), screen))
        finally:
            os.close(screen)


def _written(kept: int, screen: int) -> bytes:
    """Give the error stream back; all that was written to the file in its place."""
    os.dup2(screen, _STDERR)
    os.lseek(kept, 0, os.SEEK_SET)
    return os.read(kept, 1 << 20)


def _last_line(text: bytes) -> str:
    lines = [line.strip() for line in text.decode("utf-8", "replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")
