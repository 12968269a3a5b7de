"""Where the tests' files lie: in memory, if the machine has room for them there.

Each of some two thousand tests has a database of its own, which is three hundred files to make
and to remove: a disk took a second for what takes a twentieth in memory.
"""

import os
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
ROOM_BYTES = 6 << 30
"""Free space that is asked for: several times what the whole suite was seen to need at once."""


def use_memory(folder: Path = MEMORY) -> None:
    """Have temporary files, our processes' as well, made in `folder` if there is room."""
    if "TMPDIR" not in os.environ and has_room(folder):
        os.environ["TMPDIR"] = str(folder)
        tempfile.tempdir = None  # it is looked up again


def has_room(folder: Path) -> bool:
    """Whether programs and many files can lie there; a container may have few megabytes."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    executes = not found.f_flag & os.ST_NOEXEC
    return executes and os.access(folder, os.W_OK) and found.f_bavail * found.f_frsize > ROOM_BYTES
