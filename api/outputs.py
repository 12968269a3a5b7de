"""The small files that jobs send back, such as a preview: checked, then put in their place.

A file is at `<outputs>/<guid>/<stage>/<name>`, complete or not at all.
"""

import asyncio
import hashlib
import os
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

from starlette.requests import Request

from api.bodies import pour
from schemas.files import FileFacts
from schemas.guid import check_file_name, check_guid
from track.jobs.agent_outputs import WantedOutput
from track.jobs.attempts import Attempt
from track.jobs.outputs import home_of


class Damaged(Exception):
    """What arrived is not the file that was announced; it is to be sent again."""


@asynccontextmanager
async def received(request: Request, folder: Path, facts: FileFacts) -> AsyncIterator[Path]:
    """The request's body as a temporary file, removed afterwards unless it was moved.

    Raises Damaged, naming file and field.
    """
    crc32 = 0

    def note(piece: bytes | bytearray) -> None:
        nonlocal crc32
        crc32 = zlib.crc32(piece, crc32)

    async with _kept(request, folder, facts.size_bytes, note) as (partial, size):
        if (size, crc32) != (facts.size_bytes, facts.crc32):
            raise Damaged(
                f"{facts.name}: {size} bytes with CRC-32 {crc32} arrived where size_bytes "
                f"{facts.size_bytes} and crc32 {facts.crc32} were announced; send it again"
            )
        yield partial


@asynccontextmanager
async def received_content(
    request: Request, folder: Path, size_bytes: int, sha256: str
) -> AsyncIterator[Path]:
    """The same of a body that is known by its SHA-256. Raises Damaged."""
    content = hashlib.sha256()
    async with _kept(request, folder, size_bytes, content.update) as (partial, size):
        if (size, content.hexdigest()) != (size_bytes, sha256):
            raise Damaged(f"{size} bytes arrived that are not the file {sha256}; send it again")
        yield partial


@asynccontextmanager
async def _kept(
    request: Request, folder: Path, most: int, note: Callable[[bytearray], object]
) -> AsyncIterator[tuple[Path, int]]:
    """The body in a temporary file, and its size; `note` is told of each piece. Of a body that is
    larger than `most` no more is read."""
    partial = folder / f".incoming-{uuid4().hex}"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    try:
        with await asyncio.to_thread(partial.open, "xb") as into:

            def write(piece: bytearray) -> None:
                into.write(piece)
                note(piece)

            size = await pour(request.stream(), write, most)
            await asyncio.to_thread(into.flush)
            await asyncio.to_thread(os.fsync, into.fileno())
        yield partial, size
    finally:
        await asyncio.to_thread(partial.unlink, missing_ok=True)


async def put_in_place(partial: Path, outputs: Path, attempt: Attempt, name: str) -> None:
    """Move a received file to its place. Raises ValueError for an unsafe name."""
    place = outputs / check_guid(attempt.guid) / check_guid(attempt.stage) / check_file_name(name)

    def move() -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        if partial.exists():  # a repeated transaction finds it moved
            partial.replace(place)

    await asyncio.to_thread(move)


def place_output(arrived: Path, outputs: Path, wanted: WantedOutput) -> None:
    """Put a content that arrived into each of its places, complete or not at all."""
    home = home_of(outputs, wanted.guid, wanted.stage, in_stage_folder=wanted.in_stage_folder)
    for path in wanted.paths:
        place = home.joinpath(*map(check_file_name, path.split("/")))
        place.parent.mkdir(parents=True, exist_ok=True)
        own = place.with_name(f".{place.name}.{uuid4().hex}")
        own.hardlink_to(arrived)
        own.replace(place)
