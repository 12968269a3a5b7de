"""Reading files whole, noticing that one has changed, and writing one whole or not at all."""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workstation.problems import WorkstationError, translated

PIECE_BYTES = 1 << 20

Progress = Callable[[Path, int], None]
"""Is told of each piece that was read: the file, and bytes."""


class FileChanged(WorkstationError):
    """A file is not the one that was looked at."""

    remedy = "wait until whoever writes it has finished, and look that it is the right picture"


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file as it was read. `mtime_ns`: its time of change, nanoseconds since 1970."""

    size_bytes: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> "ReadFile":
        """A file of that content that is not written yet."""
        return cls(len(content), 0, hashlib.sha256(content).hexdigest())


def read_file(path: Path, progress: Progress | None = None) -> ReadFile:
    """Read `path` once, from its first to its last byte, in pieces.

    Raises FileChanged when it is written to meanwhile, another WorkstationError when it cannot
    be read.
    """
    digest, count = hashlib.sha256(), 0
    try:
        with path.open("rb") as stream:
            before = os.fstat(stream.fileno())
            while piece := stream.read(PIECE_BYTES):
                digest.update(piece)
                count += len(piece)
                if progress is not None:
                    progress(path, len(piece))
            after = os.fstat(stream.fileno())
    except OSError as error:
        raise translated(error, path) from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise FileChanged(path, "it was written to while it was read")
    if count != after.st_size:
        raise FileChanged(path, f"{count} bytes were read of {after.st_size}")
    return ReadFile(count, after.st_mtime_ns, digest.hexdigest())


def size_and_time(path: Path) -> tuple[int, int] | None:
    """Bytes and time of change (nanoseconds since 1970) of a file; None when it is not there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise translated(error, path) from error
    return found.st_size, found.st_mtime_ns


def write_whole(path: Path, content: bytes) -> None:
    """Write `path` so that it is there with all of `content`, on the disk, or as it was before.

    Raises WorkstationError when it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise translated(error, path) from error


def sync_folder(folder: Path) -> None:
    """Have the names in `folder` on the disk. Windows keeps them by itself and cannot be asked."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
