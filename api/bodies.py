"""The bodies of requests, written to disk while they come."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

CHUNK = 1 << 20
"""Bytes that are written at once; some more than twice as many are held at most."""

Write = Callable[[bytearray], object]
InThread = Callable[[Write, bytearray], Coroutine[Any, Any, object]]


async def pour(
    body: AsyncIterator[bytes],
    write: Write,
    most: int,
    *,
    in_thread: InThread = asyncio.to_thread,
    progress: Callable[[], object] = lambda: None,
) -> int:
    """Have `write` take the body, a MB at a time, in a thread while the next MB comes.

    Its size in bytes; of a body that is larger than `most` no more is read. What came before its
    sender broke off is written too, before that is raised. `progress` is told of each MB.
    `in_thread` has it written, and may raise what keeps it from that.
    """
    size = 0
    writer = _Writer(write, in_thread)
    try:
        async for chunk in body:
            size += len(chunk)
            if size > most:
                break
            if await writer.put(chunk):
                progress()
    finally:
        # Shielded: a request that is cancelled has its last bytes written all the same.
        await asyncio.shield(writer.flush())
    return size


class _Writer:
    """Hands pieces to a thread, one while the next is gathered; after a failure none."""

    def __init__(self, write: Write, in_thread: InThread) -> None:
        self._write, self._in_thread = write, in_thread
        self._waiting = bytearray()
        self._writing: asyncio.Task[object] | None = None
        self._failed = False

    async def put(self, chunk: bytes) -> bool:
        """Take some bytes; whether a piece was handed over with them."""
        self._waiting += chunk
        if len(self._waiting) < CHUNK:
            return False
        await self._hand_over()
        return True

    async def flush(self) -> None:
        """Have all that waits written."""
        await self._hand_over()
        await self._written()

    async def _hand_over(self) -> None:
        await self._written()
        if self._waiting and not self._failed:
            piece, self._waiting = self._waiting, bytearray()
            self._writing = asyncio.create_task(self._in_thread(self._write, piece))

    async def _written(self) -> None:
        if self._writing is None:
            return
        # Waited for as it is: awaited itself, a cancelled request would cancel it.
        await asyncio.wait([self._writing])
        done, self._writing = self._writing, None
        try:
            done.result()
        except BaseException:
            self._failed = True
            raise
