"""The file proxy: shares, the room an asset's files are written in, and the files themselves.

Files are streamed. The checksum of an upload is checked by ARS; a download is checked here and
takes its name only when it is right.
"""

import asyncio
import os
import uuid
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from blocks.ars_client.address import ArsAddress
from blocks.ars_client.answers import FileRow
from blocks.ars_client.wire import SHARE_SECONDS, Call, Wire, parsed
from blocks.tier import Facts, LocalFile, SourceLost, TierCorrupted, TierRefused
from schemas.files import megabytes

T = TypeVar("T")

BLOCK = 1 << 20
MIN_BYTES_PER_S = 500_000
"""Bytes per second below which a transfer counts as stuck."""


class Shares:
    """Opening, resizing, synchronising and closing the share of an asset."""

    def __init__(self, address: ArsAddress, wire: Wire) -> None:
        self._address = address
        self._wire = wire

    async def open(
        self,
        guid: str,
        institution: str,
        collection: str,
        allocation_mb: int,
        parent_guids: Sequence[str] = (),
    ) -> int:
        """Open a share with the asset's and its parents' files from ERDA; its MB of 10^6 bytes.

        Ask for the status first: opening one that is open leaves the guid locked for 300 s.
        """
        asset = {
            "asset_guid": guid,
            "parent_guids": list(parent_guids),
            "institution": institution,
            "collection": collection,
        }
        body = {
            "assets": [asset],
            "users": list(self._address.users),
            "allocation_mb": allocation_mb,
        }
        call = self._call("POST", guid, "createShare", json=body)
        return parsed(call, await self._wire.send(call), _allocated_mb)

    async def change_allocation(self, guid: str, allocation_mb: int) -> int:
        """Give an open share another size, in MB; the one it has then."""
        body = {"asset_guid": guid, "new_allocation_mb": allocation_mb}
        call = self._call("POST", guid, "changeAllocation", json=body)
        return parsed(call, await self._wire.send(call), _allocated_mb)

    async def close(self, guid: str) -> bool:
        """Close the share; False when none was open. Files not yet in ERDA are dropped."""
        call = self._call("DELETE", guid, "deleteShare", accept=frozenset({404}))
        return (await self._wire.send(call)).status_code != 404

    async def synchronise(self, guid: str, workstation: str, pipeline: str) -> None:
        """Ask ARS to bring the share's files to ERDA; it answers before it has begun."""
        params = {"workstation": workstation, "pipeline": pipeline}
        await self._wire.send(self._call("POST", guid, "synchronize", params=params))

    def _call(self, method: str, guid: str, verb: str, **more: Any) -> Call:
        url = self._address.file_proxy("shares", "assets", guid, verb)
        return Call(method, url, changes=True, seconds=SHARE_SECONDS, **more)


class Files:
    """Listing the files of an asset, and sending and fetching them."""

    def __init__(self, address: ArsAddress, wire: Wire, pool: ThreadPoolExecutor) -> None:
        self._address = address
        self._wire = wire
        self._pool = pool

    async def listed(self, guid: str) -> list[FileRow]:
        """Every file ARS knows of the asset, in its share or in ERDA; [] when none."""
        call = Call("GET", self._address.file_proxy("assets", guid, "files"))
        response = await self._wire.send(call)
        return parsed(call, response, lambda rows: [FileRow.read(guid, row) for row in rows])

    async def upload(self, guid: str, institution: str, collection: str, file: LocalFile) -> None:
        """Send one file to the open share. Sending the same again replaces it.

        Raises SourceLost, TierCorrupted (what arrived differs), TierRefused, TierUnknown.
        """
        source = await self._in_pool(_opened, file)
        with source:
            call = Call(
                "PUT",
                self._address.file_url(institution, collection, guid, file.name),
                changes=True,
                seconds=SHARE_SECONDS + file.size_bytes / MIN_BYTES_PER_S,
                params={"crc": file.crc32, "file_size_mb": megabytes(file.size_bytes)},
                headers={"Content-Type": file.mime, "Content-Length": str(file.size_bytes)},
                content=lambda: self._blocks(source),
            )
            try:
                response = await self._wire.send(call)
                arrived = parsed(call, response, lambda answer: int(answer["actual_crc"]))
                if arrived != file.crc32:
                    raise TierCorrupted(f"{file.name}: sent CRC {file.crc32}, ARS holds {arrived}")
            except TierCorrupted:
                # Damaged on the way, or at home: then sending it again can never help.
                await self._in_pool(_check, file, source)
                raise

    async def download(
        self, guid: str, institution: str, collection: str, file: Facts, to: Path
    ) -> None:
        """Fetch a file from the open share to `to`; replaced only when right.

        Raises TierCorrupted when CRC or size differ, TierRefused when it is not there.
        """
        url = self._address.file_url(institution, collection, guid, file.name)
        call = Call("GET", url, seconds=SHARE_SECONDS + file.size_bytes / MIN_BYTES_PER_S)
        part = to.with_name(f"{to.name}.{uuid.uuid4().hex}.part")
        try:
            crc32, size_bytes = await self._receive(call, part)
            if (crc32, size_bytes) != (file.crc32, file.size_bytes):
                raise TierCorrupted(
                    f"{file.name}: expected CRC {file.crc32} and {file.size_bytes} bytes, "
                    f"received {crc32} and {size_bytes}"
                )
            await self._in_pool(os.replace, part, to)
        finally:
            part.unlink(missing_ok=True)

    async def _receive(self, call: Call, part: Path) -> tuple[int, int]:
        crc32 = size_bytes = 0
        async with self._wire.stream(call) as response:
            with part.open("wb") as out:
                async for block in response.aiter_bytes(BLOCK):
                    await self._in_pool(out.write, block)
                    crc32 = zlib.crc32(block, crc32)
                    size_bytes += len(block)
        return crc32, size_bytes

    async def _blocks(self, source: BinaryIO) -> AsyncIterator[bytes]:
        source.seek(0)
        while block := await self._in_pool(source.read, BLOCK):
            yield block

    async def _in_pool(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)


def _opened(file: LocalFile) -> BinaryIO:
    """Open the file; refuse, before any byte is sent, what ARS could only refuse afterwards."""
    if file.size_bytes == 0 or file.crc32 == 0:
        raise TierRefused(f"{file.name}: ARS takes no empty file and no checksum of 0")
    try:
        size_bytes = file.path.stat().st_size
        if size_bytes == file.size_bytes:
            return file.path.open("rb")
    except OSError as gone:
        raise SourceLost(f"{file.path}: {gone.strerror}; ingest it again") from gone
    raise SourceLost(
        f"{file.path}: {size_bytes} bytes where {file.size_bytes} were checked; ingest it again"
    )


def _check(file: LocalFile, source: BinaryIO) -> None:
    """Read our file once more; SourceLost when it is no longer what was checked."""
    source.seek(0)
    crc32 = 0
    while block := source.read(BLOCK):
        crc32 = zlib.crc32(block, crc32)
    if crc32 != file.crc32:
        raise SourceLost(
            f"{file.path}: its CRC-32 is {crc32}, it was {file.crc32} when it was checked; "
            "check that disk, remove the file, and ingest it again"
        )


def _allocated_mb(answer: Mapping[str, Any]) -> int:
    return int(answer["allocated_storage_mb"] or 0)
