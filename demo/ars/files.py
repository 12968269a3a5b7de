"""Files of an asset: the rows that say what should exist, and streaming new bytes in.

A row is NEW_FILE until the ERDA job has carried its bytes over. A file that is overwritten or
deleted keeps its row, marked, until then: closing the share takes the change back.
"""

import asyncio
import os
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from demo.ars import allocation, shares
from demo.ars.allocation import MB
from demo.ars.errors import BadRequest
from demo.ars.faults import Point
from demo.ars.folders import AssetPlace, safe_parts
from demo.ars.store import Connection, Row, insert, rows, run
from demo.ars.world import World

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Upload:
    """One file on its way in: what the client says about it."""

    place: AssetPlace
    name: str
    crc: int
    size_mb: int
    mime_type: str | None
    has_thumbnail: bool

    @property
    def row_path(self) -> str:
        return self.place.row_path(self.name)


def info(row: Row) -> dict[str, Any]:
    return {
        "fileId": row["file_id"],
        "assetGuid": row["asset_guid"],
        "path": row["path"],
        "sizeBytes": row["size_bytes"],
        "crc": row["crc"],
        "deleteAfterSync": row["delete_after_sync"],
        "syncStatus": row["sync_status"],
        "mime_type": row["mime_type"],
        "has_thumbnail": row["has_thumbnail"],
        "workDirFilePath": None,
    }


async def of_asset(db: Connection, guid: str) -> list[Row]:
    return await rows(db, "SELECT * FROM file WHERE asset_guid = %s ORDER BY file_id", guid)


def name_of(row: Row) -> str:
    """The path inside the asset's folder, from `/institution/collection/guid/path`."""
    return str(row["path"]).split("/", 4)[4]


def check(upload: Upload) -> None:
    """Refuse what is wrong before a byte is read, in the archive's order."""
    if upload.size_mb == 0:
        raise BadRequest("file_size_mb cannot be 0")
    if upload.crc == 0:
        raise BadRequest("crc cannot be 0")
    if upload.name.lower().replace("/", "").startswith("parent"):
        raise BadRequest("File path cannot start with 'parent'")
    safe_parts(upload.name)


async def receive(world: World, upload: Upload, body: AsyncIterator[bytes]) -> int:
    """Stream `body` to disk and return its CRC-32; a mismatch leaves the old file as it was.

    Space is judged by the declared size; an overwritten file counts twice.
    """
    target = world.folders.share(upload.place).joinpath(*safe_parts(upload.name))
    await _room(world, upload)
    temporary = world.folders.incoming()
    try:
        size, crc = await _write(temporary, body)
        if world.faults.take(Point.CORRUPT_UPLOAD, upload.place.guid):
            crc ^= 1
        if crc == upload.crc:
            await _accept(world, upload, temporary, target, size)
    finally:
        temporary.unlink(missing_ok=True)
    return crc


async def _room(world: World, upload: Upload) -> None:
    async with world.store.transaction() as db:
        share = await shares.of_asset(db, upload.place.guid)
        if share is None:
            raise BadRequest("There is no writeable directory for this asset")
        if not world.folders.share(upload.place).is_dir():
            raise BadRequest("Share directory doesnt exist")
        used = await allocation.used_bytes(db, upload.place.guid)
    if used + upload.size_mb * MB > share["allocation_mb"] * MB:
        raise BadRequest("Total size of asset files exceeds allocated disk space")


async def _write(path: Path, body: AsyncIterator[bytes]) -> tuple[int, int]:
    """Write in blocks from a thread, so that a slow disk does not hold up other requests."""
    size, crc, block = 0, 0, bytearray()
    file = await asyncio.to_thread(path.open, "wb")
    try:
        async for chunk in body:
            block += chunk
            if len(block) >= _BLOCK:
                crc = await asyncio.to_thread(_append, file, block, crc)
                size, block = size + len(block), bytearray()
        crc = await asyncio.to_thread(_append, file, block, crc)
        return size + len(block), crc
    finally:
        await asyncio.to_thread(file.close)


def _append(file: IO[bytes], block: bytearray, crc: int) -> int:
    file.write(block)
    return zlib.crc32(block, crc)


async def _accept(world: World, upload: Upload, temporary: Path, target: Path, size: int) -> None:
    """Record the file and move it into the share, which may have been closed meanwhile."""
    async with world.store.transaction() as db:
        if await shares.of_asset(db, upload.place.guid, lock=True) is None:
            raise BadRequest("There is no writeable directory for this asset")
        await _mark(db, upload.place.guid, upload.row_path)
        await insert(
            db,
            "file",
            asset_guid=upload.place.guid,
            path=upload.row_path,
            size_bytes=size,
            crc=upload.crc,
            mime_type=upload.mime_type,
            has_thumbnail=upload.has_thumbnail,
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(temporary, target)


async def _mark(db: Connection, guid: str, path: str | None) -> int:
    """Mark one file, or all, to go at the next synchronisation."""
    return await run(
        db,
        "UPDATE file SET delete_after_sync = true WHERE asset_guid = %s"
        " AND (%s::text IS NULL OR path = %s) AND NOT delete_after_sync",
        guid,
        path,
        path,
    )


async def delete(world: World, place: AssetPlace, name: str) -> bool:
    """Delete a file, or all with an empty name; False when there is none of that name.

    The copy in ERDA goes when the share is synchronised next.
    """
    folder = world.folders.share(place)
    async with world.store.transaction() as db:
        share = await shares.of_asset(db, place.guid, lock=True)
        if share is None:
            raise BadRequest("No writable directory was found for asset")
        if shares.place(share) != place:
            return False
        path = place.row_path(name) if name else None
        listed = [row for row in await of_asset(db, place.guid) if path in (None, row["path"])]
        touched = await _mark(db, place.guid, path)
        for row in listed:
            folder.joinpath(*safe_parts(name_of(row))).unlink(missing_ok=True)
    return touched > 0 or not name
