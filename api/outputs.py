"""The small files that jobs send back, such as a preview: checked, then put in their place.

A file is at `<outputs>/<guid>/<stage>/<name>`, complete or not at all.
"""

import asyncio
import os
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from starlette.requests import Request

from schemas.files import FileFacts
from schemas.guid import check_file_name, check_guid
from track.jobs.attempts import Attempt

CHUNK = 1 << 20


class Damaged(Exception):
    """What arrived is not the file that was announced; it is to be sent again."""


@asynccontextmanager
async def received(request: Request, folder: Path, facts: FileFacts) -> AsyncIterator[Path]:
    """The request's body as a temporary file, removed afterwards unless it was moved.

    Raises Damaged, naming file and field.
    """
    partial = folder / f".incoming-{uuid4().hex}"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    try:
        with await asyncio.to_thread(partial.open, "xb") as into:
            size, crc32 = await _pour(request, into)
        if (size, crc32) != (facts.size_bytes, facts.crc32):
            raise Damaged(
                f"{facts.name}: {size} bytes with CRC-32 {crc32} arrived where size_bytes "
                f"{facts.size_bytes} and crc32 {facts.crc32} were announced; send it again"
            )
        yield partial
    finally:
        await asyncio.to_thread(partial.unlink, missing_ok=True)


async def _pour(request: Request, into: BinaryIO) -> tuple[int, int]:
    """Write the body, a MB at a time, off the event loop; its size and CRC-32."""
    size = crc32 = 0
    waiting = bytearray()

    def write() -> None:
        nonlocal size, crc32
        into.write(waiting)
        size, crc32 = size + len(waiting), zlib.crc32(waiting, crc32)
        waiting.clear()

    async for chunk in request.stream():
        waiting += chunk
        if len(waiting) >= CHUNK:
            await asyncio.to_thread(write)
    await asyncio.to_thread(write)
    await asyncio.to_thread(into.flush)
    await asyncio.to_thread(os.fsync, into.fileno())
    return size, crc32


async def put_in_place(partial: Path, outputs: Path, attempt: Attempt, name: str) -> None:
    """Move a received file to its place. Raises ValueError for an unsafe name."""
    place = outputs / check_guid(attempt.guid) / check_guid(attempt.stage) / check_file_name(name)

    def move() -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        if partial.exists():  # a repeated transaction finds it moved
            partial.replace(place)

    await asyncio.to_thread(move)
