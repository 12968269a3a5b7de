"""Removing what was taken in of one asset from its session's folder on the N-Drive.

Only the two files that were taken in go, and only while they still are what was taken
in: the image by size and CRC32, the metadata by its content. If one of them is not,
somebody has changed it since, and both stay.
"""

import os
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from schemas.metadata.document import MetadataError, read_document
from tasks.errors import CopyStopped, FileError, SourceVanished
from tasks.files.copies import MAX_DOCUMENT_BYTES
from tasks.files.names import COMPLETE_MARKER
from tasks.files.pairing import normal
from tasks.files.removal import below, file_in, folder_below, remove_empty, remove_file
from tasks.files.threads import Stop
from track.records.retention import Original

CHUNK = 1 << 20

LEFTOVERS = frozenset({COMPLETE_MARKER})
"""What we or the upload leave in a folder; anything else, a note of quarantine too, keeps it."""


class NotAsTaken(FileError):
    """A file has the name of one that was taken in, and another content."""

    remedy = "it was changed after it was taken in: archive it under another guid, or remove it"


class Removed(NamedTuple):
    """How many files went, their bytes, and whether their folder went with them."""

    files: int
    size_bytes: int
    folder: bool


def remove_original(stop: Stop, root: Path, found: Original, dry_run: bool) -> Removed | None:
    """Delete an asset's image and metadata; None when folder or files were gone already.

    Then the session's folder, if it was imported and nothing is left in it. Raises
    SourceVanished when the workstation's folder itself is missing (the drive is not
    mounted), OutsideRoot, NotAsTaken or another FileError.
    """
    if found.folder is None:
        return None
    steps = below(root, found.folder, depth=2)
    with folder_below(root, steps[:1]):
        pass  # a missing session is gone; a missing workstation is a drive that is not mounted
    try:
        files, size_bytes = _remove_files(stop, root, steps, found, dry_run)
    except SourceVanished:
        return None
    closed = steps[-1].startswith("imported_")
    folder = not dry_run and closed and remove_empty(root, steps, LEFTOVERS)
    return Removed(files, size_bytes, folder) if files or folder else None


def _remove_files(
    stop: Stop, root: Path, steps: tuple[str, ...], found: Original, dry_run: bool
) -> tuple[int, int]:
    where = root.joinpath(*steps)
    with folder_below(root, steps) as folder, ExitStack() as files:
        meant: dict[str, os.stat_result] = {}
        for name in sorted(os.listdir(folder)):
            if not _is_of(name, found):
                continue
            fd = files.enter_context(file_in(folder, name, where))
            if fd is not None:
                meant[name] = os.fstat(fd)
                if not _is_as_taken(stop, fd, name, found):
                    raise NotAsTaken(where / name, "it is not what was taken in")
        if dry_run:
            return len(meant), sum(state.st_size for state in meant.values())
        freed = [remove_file(folder, name, where, state) for name, state in meant.items()]
    return len(freed), sum(freed)


def _is_of(name: str, found: Original) -> bool:
    """Whether a file has the name of one that was taken in of this asset."""
    text = normal(name)
    stem, dot, suffix = text.rpartition(".")
    return text in map(normal, found.crc32) or (
        dot == "." and suffix.lower() == "json" and stem == found.file_name
    )


def _is_as_taken(stop: Stop, fd: int, name: str, found: Original) -> bool:
    size = os.fstat(fd).st_size
    if name.lower().endswith(".json"):
        if size > MAX_DOCUMENT_BYTES:
            return False
        try:
            return read_document(_content(fd, size)).document == found.arrived
        except MetadataError:
            return False
    taken = {normal(each): each for each in found.crc32}[normal(name)]
    return size == found.size_bytes[taken] and _crc32(stop, fd, name) == found.crc32[taken]


def _content(fd: int, size: int) -> bytes:
    with os.fdopen(os.dup(fd), "rb") as stream:
        return stream.read(size)


def _crc32(stop: Stop, fd: int, name: str) -> int:
    crc32 = 0
    while chunk := os.read(fd, CHUNK):
        if stop.is_set():
            raise CopyStopped(Path(name), "the look at it was stopped", "it is looked at again")
        crc32 = zlib.crc32(chunk, crc32)
    return crc32
