"""A real file system of little room, to be filled up."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """Mount one of `size`, such as `512k`, at `place` until the block ends.

    The test is skipped where that is not allowed: it needs a right, which no package gives.
    """
    place.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)]
    if os.geteuid() or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield place
    finally:
        # Whoever had a file open there may need a moment; what is left goes with the last one.
        subprocess.run(["umount", "--lazy", str(place)], check=True)
