"""Reading a file on a share through, to know its content and nothing else."""

import errno
import hashlib
import os
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tasks.errors import CopyStopped, FileError, SourceVanished, named
from tasks.files.copies import CHUNK, opened
from tasks.files.mounts import Pulse
from tasks.files.pairing import Entry
from tasks.files.sidecars import MAX_LIST_BYTES, SidecarContent, is_sidecar, parse_sidecar


@dataclass(frozen=True)
class Content:
    """What was read: zlib's CRC32, sums in hexadecimal by what makes them, and the checksums that
    are in it when it is a file of them."""

    crc32: int
    sums: Mapping[str, str]
    sidecar: SidecarContent | None = None


def read_all(
    pulse: Pulse, wanted: Mapping[Entry, Collection[str]]
) -> dict[Entry, Content | FileError]:
    """Each file's content with the sums that are wanted of it, or why it cannot be read.

    Raises SourceVanished when one of them went away.
    """
    found: dict[Entry, Content | FileError] = {}
    for entry, algorithms in wanted.items():
        try:
            found[entry] = read_content(pulse, entry, algorithms)
        except (SourceVanished, CopyStopped):
            raise
        except FileError as error:
            found[entry] = error
    return found


def read_content(pulse: Pulse, entry: Entry, algorithms: Collection[str]) -> Content:
    """The content of a file, as far as its listing says that it goes. Raises a FileError."""
    made = {name: hashlib.new(name) for name in algorithms}
    crc32, left, kept = 0, entry.size_bytes, bytearray()
    keep = is_sidecar(entry.name)
    with opened(entry.path) as fd:
        _not_from_memory(fd, entry)
        buffer = memoryview(bytearray(CHUNK))
        while left > 0 and (chunk := _next(fd, buffer[: min(left, CHUNK)], entry)):
            pulse.beat()
            if pulse.is_set():
                raise CopyStopped(entry.path, "the reading was stopped")
            left -= len(chunk)
            crc32 = zlib.crc32(chunk, crc32)
            for each in made.values():
                each.update(chunk)
            if keep and len(kept) <= MAX_LIST_BYTES:
                kept += chunk
    sidecar = parse_sidecar(bytes(kept), entry.name) if keep else None
    return Content(crc32, {name: each.hexdigest() for name, each in made.items()}, sidecar)


def _next(fd: int, buffer: memoryview, entry: Entry) -> memoryview:
    try:
        return buffer[: os.readv(fd, [buffer])]
    except OSError as error:
        raise named(error, entry.path, reading=True) from error


def _not_from_memory(fd: int, entry: Entry) -> None:
    """Have it read from the share: a client's pages may be older than what lies there."""
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.ESPIPE):
            raise named(error, entry.path, reading=True) from error
