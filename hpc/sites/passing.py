"""Folders for files that are on their way through this machine, gone once they are through.

A process that is killed leaves its folder behind, with images of hundreds of megabytes in it. The
lock that it held on it is gone then: whoever comes next removes the folder.
"""

import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "carried-"

YOUNG_S = 60.0
"""A folder of so few seconds may belong to a process that is about to lock it."""

log = logging.getLogger(__name__)


@contextmanager
def passing_folder() -> Iterator[Path]:
    """A folder among the temporary files for one block. Raises OSError."""
    remove_left()
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name:
        lock = os.open(name, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(lock)


def remove_left() -> None:
    """Remove the folders that processes left behind which are no more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another's, in use, or removed by somebody else just now
            if time.time() - folder.stat().st_mtime < YOUNG_S:
                continue
            lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                log.info("what a process left behind in %s is removed", folder)
            finally:
                os.close(lock)
