"""Copies a file and proves the copy: one read of the source, two checksums on the way.

CRC32 is what the archive asks for, SHA-256 what a curator trusts. The copy appears
under its name only when it is complete, on the disk, and read back with the same CRC32.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tasks.errors import (
    ChecksumMismatch,
    CopyStopped,
    CopyUnderWay,
    DifferentContent,
    DiskFull,
    SourceChanged,
    SourceVanished,
    TooLarge,
    named,
)
from tasks.files.checksums import COPY_AGAIN, Sum, differing
from tasks.files.threads import Stop, Threads

CHUNK = 1 << 20  # bytes; larger chunks fall out of the processor's cache between uses
BUFFERS = 4
MAX_DOCUMENT_BYTES = 64 << 20
"""Bytes of a metadata document; real ones have a few thousand."""

COPYING = Threads("copying", 2)


@dataclass(frozen=True)
class Copied:
    """What was read, and now lies at the destination. `crc32` is zlib's, unsigned."""

    crc32: int
    sha256: str
    size_bytes: int


async def copy_file(source: Path, destination: Path, sums: Sequence[Sum] = ()) -> Copied:
    """`copy_verified` in a thread of its own; cancelling it leaves no half file."""
    return await COPYING.run(copy_verified, source, destination, sums)


async def checksum_file(path: Path) -> Copied:
    """Checksums and size in bytes of a file that stays where it is; raises a FileError."""
    return await COPYING.run(_checksum, path)


def _checksum(stop: Stop, path: Path) -> Copied:
    with opened(path) as fd:
        return _read(stop, path, fd, into=None)


def copy_verified(stop: Stop, source: Path, destination: Path, sums: Sequence[Sum] = ()) -> Copied:
    """Copy `source` to `destination` completely, or not at all; its folder is made when missing.

    `sums` came with it, and all of them must be right before anything has the destination's
    name. A destination that holds the same content already is accepted; one with another is
    left alone. Raises a `FileError`: SourceVanished, SourceChanged, DiskFull, PermissionDenied,
    ChecksumMismatch, DifferentContent, CopyUnderWay or DeviceFault.
    """
    with opened(source) as fd:
        if _exists(destination):
            copied = _read(stop, source, fd, into=None, sums=sums)
            return _accept(stop, destination, copied)
        with _temporary(destination, os.fstat(fd).st_size) as (temporary, out):
            copied = _read(stop, source, fd, into=(temporary, out), sums=sums)
            _publish(temporary, out, destination, copied)
        return copied


async def read_document_content(path: Path) -> bytes:
    """`document_content` in a thread."""
    return await COPYING.run(document_content, path)


def document_content(_: Stop, path: Path) -> bytes:
    """The content of a metadata document; raises TooLarge, or another FileError."""
    with opened(path) as fd, os.fdopen(os.dup(fd), "rb") as stream:
        try:
            content = stream.read(MAX_DOCUMENT_BYTES + 1)
        except OSError as error:
            raise named(error, path, reading=True) from error
    if len(content) > MAX_DOCUMENT_BYTES:
        raise TooLarge(path, f"it has more than {MAX_DOCUMENT_BYTES} bytes")
    return content


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of a regular file, open for reading. Raises a FileError."""
    try:
        # O_NONBLOCK: a pipe lying about under an image's name must not hang the thread.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise named(error, path, reading=True) from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise SourceVanished(path, "it is not a regular file", "put a real file in its place")
        yield fd
    finally:
        os.close(fd)


def _read(
    stop: Stop, source: Path, fd: int, *, into: tuple[Path, int] | None, sums: Sequence[Sum] = ()
) -> Copied:
    """Read `fd` to its end, hash it in a second thread and write it out in this one."""
    before = os.fstat(fd)
    digest, size = _Digest(each.algorithm for each in sums), 0
    try:
        for chunk in digest.chunks(source, fd):
            size += len(chunk)
            if stop.is_set():
                raise CopyStopped(source, "the copy was stopped")
            if size > before.st_size:
                raise SourceChanged(source, "it grew while it was copied")
            if into is not None:
                _write(chunk, *into)
    finally:
        digest.finish()
    copied = digest.result()
    _unchanged(source, fd, before, copied.size_bytes)
    if (wrong := differing(sums, digest.sums())) is not None:
        raise ChecksumMismatch(source, wrong, COPY_AGAIN)
    return copied


class _Digest:
    """CRC32, SHA-256 and more of what passes by, computed in a thread (all let go of the GIL)."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._free: SimpleQueue[bytearray] = SimpleQueue()
        self._full: SimpleQueue[tuple[bytearray, int] | None] = SimpleQueue()
        self._crc32, self._size = 0, 0
        self._made = {name: hashlib.new(name) for name in {"sha256", *more}}
        for _ in range(BUFFERS):
            self._free.put(bytearray(CHUNK))
        self._thread = threading.Thread(target=self._consume, name="checksums")
        self._thread.start()

    def chunks(self, source: Path, fd: int) -> Iterator[memoryview]:
        """The file's content; each chunk is valid until the next is asked for."""
        while True:
            buffer = self._free.get()
            try:
                size = os.readv(fd, [buffer])
            except OSError as error:
                raise named(error, source, reading=True) from error
            if size == 0:
                return
            yield memoryview(buffer)[:size]
            self._full.put((buffer, size))

    def finish(self) -> None:
        self._full.put(None)
        self._thread.join()

    def result(self) -> Copied:
        return Copied(self._crc32, self._made["sha256"].hexdigest(), self._size)

    def sums(self) -> dict[str, str]:
        """Every sum, by what makes it."""
        return {name: each.hexdigest() for name, each in self._made.items()}

    def _consume(self) -> None:
        while (item := self._full.get()) is not None:
            buffer, size = item
            view = memoryview(buffer)[:size]
            self._crc32 = zlib.crc32(view, self._crc32)
            for each in self._made.values():
                each.update(view)
            self._size += size
            self._free.put(buffer)


def _unchanged(source: Path, fd: int, before: os.stat_result, size: int) -> None:
    try:
        states = [os.fstat(fd), os.stat(source)]
    except OSError as error:
        raise named(error, source, reading=True) from error
    same = all(_identity(state) == _identity(before) for state in states)
    if not same or size != before.st_size:
        raise SourceChanged(source, "it changed while it was copied")


def _identity(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_size, state.st_mtime_ns, state.st_ino


def _exists(destination: Path) -> bool:
    try:
        mode = os.lstat(destination).st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        raise named(error, destination, reading=False) from error
    if not stat.S_ISREG(mode):
        raise DifferentContent(destination, "something that is no regular file has this name")
    return True


def _accept(stop: Stop, destination: Path, copied: Copied) -> Copied:
    with opened(destination) as fd:
        if os.fstat(fd).st_size == copied.size_bytes:
            there = _read(stop, destination, fd, into=None)
            if there == copied:
                return copied
    raise DifferentContent(destination, "it exists with another content than its source")


@contextmanager
def _temporary(destination: Path, size: int) -> Iterator[tuple[Path, int]]:
    """A locked `.<name>.part` beside the destination, removed again if the copy fails.

    The name is always the same, so a killed copy leaves at most one, which the next
    try takes over; the lock keeps two living copies from writing into it together.
    """
    temporary = destination.with_name(f".{destination.name}.part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(destination.parent).free
        if free < size:
            raise DiskFull(destination, f"it needs {size} bytes, the disk has {free} left")
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(temporary, flags, 0o644)
    except OSError as error:
        raise named(error, destination, reading=False) from error
    try:
        _lock(temporary, fd, destination)
        with ExitStack() as undo:
            undo.callback(temporary.unlink, missing_ok=True)  # after a cancel, too
            yield temporary, fd
            undo.pop_all()
    finally:
        os.close(fd)


def _lock(temporary: Path, fd: int, destination: Path) -> None:
    busy = CopyUnderWay(destination, "another copy to it is under way")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The former holder may have renamed or removed the file between open and lock.
        if os.fstat(fd).st_ino != os.stat(temporary).st_ino:
            raise busy
        os.ftruncate(fd, 0)
    except (BlockingIOError, FileNotFoundError) as error:
        raise busy from error
    except OSError as error:
        raise named(error, destination, reading=False) from error


def _write(chunk: memoryview, temporary: Path, fd: int) -> None:
    try:
        while chunk:
            chunk = chunk[os.write(fd, chunk) :]
    except OSError as error:
        raise named(error, temporary, reading=False) from error


def _publish(temporary: Path, fd: int, destination: Path, copied: Copied) -> None:
    """Put the copy on the disk, read it back, and give it its name."""
    try:
        os.fsync(fd)
        # Clean pages are dropped so that what is read back comes from the disk.
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        if _crc32(fd) != (copied.crc32, copied.size_bytes):
            raise ChecksumMismatch(
                destination,
                "what was written does not read back the same",
                "check that disk before anything else is written to it; then resubmit",
            )
        if _exists(destination):
            raise DifferentContent(destination, "it appeared while the copy was made")
        os.rename(temporary, destination)
        sync_folder(destination.parent)
    except OSError as error:
        raise named(error, destination, reading=False) from error


def _crc32(fd: int) -> tuple[int, int]:
    os.lseek(fd, 0, os.SEEK_SET)
    buffer, crc32, size = bytearray(CHUNK), 0, 0
    while read := os.readv(fd, [buffer]):
        crc32 = zlib.crc32(memoryview(buffer)[:read], crc32)
        size += read
    return crc32, size


def sync_folder(folder: Path) -> None:
    """Put a folder's names on the disk, so that a rename survives a power cut.

    Network mounts that know no such call keep their own promise, and are left to it.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise
    finally:
        os.close(fd)
