"""Ingest of a 160 MB TIFF (copy, two checksums, verify) against `cp` then `sha256sum`.

Ours also reaches the disk (fsync) and is read back; `cp` does neither. The two take turns,
so that a busy machine slows both; the source is in the page cache for both.
"""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tasks.files.copies import copy_verified
from tasks.files.threads import Stop
from tests.benchmarks.rows import Row

SIZE_BYTES = 160_000_000
ROUNDS = 5


def measure(*, quick: bool = False) -> list[Row]:
    """One row: seconds of both sides."""
    size_bytes, rounds = (SIZE_BYTES // 100, 1) if quick else (SIZE_BYTES, ROUNDS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source.tif"
        source.write_bytes(os.urandom(size_bytes))
        os.sync()
        ours, theirs = [], []
        for n in range(rounds):
            theirs.append(_timed(_plain, source, folder / f"plain{n}.tif"))
            ours.append(_timed(partial(copy_verified, Stop()), source, folder / f"ours{n}.tif"))
    return [
        Row(
            f"ingest of {size_bytes // 10**6} MB (copy, two checksums, verify) ÷ cp then sha256sum",
            statistics.median(ours),
            statistics.median(theirs),
            target=1.0,
        )
    ]


def _plain(source: Path, destination: Path) -> None:
    subprocess.run(["cp", source, destination], check=True)
    subprocess.run(["sha256sum", destination], check=True, stdout=subprocess.DEVNULL)


def _timed(work: Callable[[Path, Path], object], source: Path, destination: Path) -> float:
    begun = time.perf_counter()
    work(source, destination)
    taken = time.perf_counter() - begun
    destination.unlink()
    return taken
