"""What has arrived of a file: its bytes in a hidden file beside its later place, and their sums.

Sums are made while the bytes come. After a break they go on where they were; after a restart what
lies there is read once more.
"""

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, ParamSpec, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from api.bodies import CHUNK, Write, pour
from api.workstations.folders import Drive, check_mounted, refusal_of
from api.workstations.refusals import UploadRefused
from schemas.uploads import Digest, RefusalCode, digest

IDLE_S = 60.0
"""Seconds without a MB after which a sender is taken to be gone; it goes on where it was."""

MAX_REMEMBERED = 256
"""Files whose sums are kept while nobody sends; of others they are made anew."""

BUFFER = 4 << 20

P = ParamSpec("P")
T = TypeVar("T")


class Sums:
    """The SHA-256 and CRC-32 of a content, and the sum of another algorithm if one is wanted."""

    def __init__(self, algorithm: str = "sha256") -> None:
        self._digests: dict[str, Digest] = {
            each: digest(each) for each in dict.fromkeys(("sha256", "crc32", algorithm))
        }
        self.size = 0

    def update(self, piece: bytes | bytearray | memoryview) -> None:
        """Take in more bytes."""
        for each in self._digests.values():
            each.update(piece)
        self.size += len(piece)

    def by_algorithm(self) -> dict[str, str]:
        """All of them, lower-case hexadecimal."""
        return {name: each.hexdigest() for name, each in self._digests.items()}


class ArrivingFile:
    """The bytes of one file that have arrived.

    A thread that hangs on the drive may come back long after its request was answered: until then
    nothing else is done with the file.
    """

    def __init__(self, path: Path, algorithm: str) -> None:
        self.path, self._algorithm = path, algorithm
        self._sums = Sums(algorithm)
        self._file: BinaryIO | None = None
        self._at_work = self._is_left = False
        self.is_receiving = False

    def check_free(self) -> None:
        """Raises UploadRefused while a thread is still at work on it."""
        if self._at_work:
            raise refusal_of(TimeoutError())

    def alone(self, work: Callable[P, T]) -> Callable[P, T]:
        """The same work, as the only one on this file until it is through. Raises UploadRefused."""
        self.check_free()
        self._at_work = True

        def working(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return work(*args, **kwargs)
            finally:
                if self._is_left:
                    with suppress(OSError):
                        self.close()
                self._at_work = False

        return working

    async def leave(self, drive: Drive) -> None:
        """Take no more bytes; whatever is still at work on it closes it."""
        self._is_left = True
        with suppress(UploadRefused):
            await drive.run(self.alone(lambda: None))

    def size(self) -> int:
        """Bytes that lie there. Raises OSError; UploadRefused while the drive is away."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            check_mounted(self.path.parent.parent)
            return 0

    def open(self) -> None:
        """Take more bytes from now on. Raises OSError."""
        self.close()
        self._is_left = False
        self._file = self.path.open("ab", buffering=0)

    def append(self, piece: bytearray) -> None:
        """Write some bytes at the end. Raises OSError."""
        assert self._file is not None
        before = self._sums.size
        with memoryview(piece) as rest:
            written = 0
            while written < len(piece):
                written += self._file.write(rest[written:]) or 0
        if self._file.tell() == before + len(piece):
            self._sums.update(piece)

    def close(self) -> None:
        """Close it, if it is open. Raises OSError."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def finish(self, beat: Callable[[], object]) -> dict[str, str]:
        """Have all of it on the disk; its sums, by algorithm. Raises OSError."""
        with self.path.open("r+b") as file:
            os.fsync(file.fileno())
            if self._sums.size > os.fstat(file.fileno()).st_size:
                self._sums = Sums(self._algorithm)
            file.seek(self._sums.size)
            while piece := file.read(BUFFER):
                self._sums.update(piece)
                beat()
        return self._sums.by_algorithm()

    def remove(self) -> None:
        """Forget it; what comes then is its beginning. Raises OSError."""
        self.path.unlink(missing_ok=True)
        self._sums = Sums(self._algorithm)


class Parts:
    """The files that are arriving; of each, one request at a time writes."""

    def __init__(self) -> None:
        self._parts: OrderedDict[UUID, ArrivingFile] = OrderedDict()
        self._holders: dict[UUID, asyncio.Task[object]] = {}
        self._locks: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._replaced: set[asyncio.Task[object]] = set()

    @asynccontextmanager
    async def held(
        self, upload_id: UUID, path: Path, algorithm: str, *, interrupts: bool = True
    ) -> AsyncIterator[ArrivingFile]:
        """The part of an upload, for the caller alone.

        A request that is receiving it gives way: its sender was cut off and has come back, which
        the server learns from nothing else. In that one's place UploadRefused is raised. Whoever
        else holds it is waited for, and so is everybody by a caller that `interrupts` nobody.
        """
        task = asyncio.current_task()
        assert task is not None
        lock = self._locks.setdefault(upload_id, asyncio.Lock())
        holder, held = self._holders.get(upload_id), self._parts.get(upload_id)
        if interrupts and holder is not None and held is not None and held.is_receiving:
            self._replaced.add(holder)
            holder.cancel()
        async with lock:
            self._holders[upload_id] = task
            try:
                part = self._part(upload_id, path, algorithm)
                part.check_free()
                yield part
            except asyncio.CancelledError:
                if task not in self._replaced:
                    raise
                task.uncancel()
                text = "the same file is being sent by another request, which goes on"
                raise UploadRefused(RefusalCode.BEING_WRITTEN, text) from None
            finally:
                self._replaced.discard(task)
                if self._holders.get(upload_id) is task:
                    del self._holders[upload_id]

    def forget(self, upload_id: UUID) -> None:
        """Keep nothing of a file that is stored or given up."""
        self._parts.pop(upload_id, None)

    def _part(self, upload_id: UUID, path: Path, algorithm: str) -> ArrivingFile:
        part = self._parts.pop(upload_id, None) or ArrivingFile(path, algorithm)
        self._parts[upload_id] = part
        while len(self._parts) > MAX_REMEMBERED:
            self._parts.popitem(last=False)
        return part


async def receive(drive: Drive, part: ArrivingFile, body: AsyncIterator[bytes], most: int) -> None:
    """Append a body to a part.

    Raises UploadRefused when it is larger than `most`, nothing comes, or the drive does not take
    it.
    """
    idle = asyncio.timeout(IDLE_S)
    try:
        await drive.run(part.alone(part.open))
        async with idle:
            loop = asyncio.get_running_loop()

            def progress() -> None:
                idle.reschedule(loop.time() + IDLE_S)

            async def write(append: Write, piece: bytearray) -> None:
                await drive.run(part.alone(append), piece)

            part.is_receiving = True
            size = await pour(body, part.append, most, in_thread=write, progress=progress)
    except TimeoutError:
        text = f"nothing came for {IDLE_S:.0f} s; go on where it broke off"
        raise UploadRefused(RefusalCode.TRY_LATER, text, status=408) from None
    finally:
        part.is_receiving = False
        await asyncio.shield(part.leave(drive))
    if size > most:
        text = "more bytes came than Upload-Length announced"
        raise UploadRefused(RefusalCode.TOO_LARGE, text)


def read_back(path: Path, size_bytes: int, beat: Callable[[], object]) -> Sums:
    """The sums of a file as it lies on the drive, not in this machine's memory.

    Of one that is longer than `size_bytes` no more is read. Raises OSError.
    """
    sums = Sums()
    with path.open("rb", buffering=0) as file:
        os.fsync(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while sums.size <= size_bytes and (piece := file.read(CHUNK)):
            sums.update(piece)
            beat()
    return sums
