"""The archive stages of one asset: create, upload, synchronise, open and close its share.

Each is an effect on ARS that looks before it acts, then notes in the database what ARS
has been seen to hold.
"""

from dataclasses import dataclass

from sqlalchemy import Row

from blocks.ars_client import ArsClient, ArsRefused, LocalFile
from schemas.metadata import Metadata
from tasks.ars import (
    await_synchronised,
    ensure_created,
    ensure_share_closed,
    ensure_share_open,
    ensure_specimens,
    ensure_synchronise_requested,
    ensure_uploaded,
)
from tasks.dispatcher import Dispatcher
from tasks.metadata import ars_body, specimen_bodies
from track.database import transact
from track.documents import mark_pushed, read_document, unpushed
from track.files import AssetRow, mark_synchronised, read_asset, read_files
from track.results import apply_uploaded


@dataclass(frozen=True)
class Expected:
    """A file that ERDA must list, by name, checksum and size in bytes."""

    name: str
    crc32: int
    size_bytes: int


async def create(dispatcher: Dispatcher, guid: str) -> None:
    """Have ARS know the asset, with a share open for files that ERDA has not."""
    row, metadata = await _asset(dispatcher, guid)
    pending = await transact(dispatcher.engine, lambda tx: unpushed(tx, guid))
    number, metadata = (pending.revision, pending.metadata) if pending else (0, metadata)
    ars = dispatcher.ars
    await ensure_specimens(ars, specimen_bodies(metadata))
    created = await ensure_created(ars, ars_body(ars, metadata), row.size_mb + row.parent_mb)
    if created.new:
        await transact(dispatcher.engine, lambda tx: mark_pushed(tx, guid, number))
    elif created.share_allocation_mb is None and await _brings_more(dispatcher, guid):
        await open_share(dispatcher, guid)


async def upload(dispatcher: Dispatcher, guid: str) -> None:
    """Bring the asset's files from the store into its share."""
    row, metadata = await _asset(dispatcher, guid)
    files = [_local(row, each) for each in await _files(dispatcher, guid)]
    await ensure_uploaded(dispatcher.ars, guid, metadata.institution, metadata.collection, files)
    names = [each.name for each in files]
    await transact(dispatcher.engine, lambda tx: apply_uploaded(tx, guid, names))


async def synchronise(dispatcher: Dispatcher, guid: str) -> None:
    """Have ARS bring the share to ERDA, and wait until that is proven."""
    _, metadata = await _asset(dispatcher, guid)
    ars: ArsClient = dispatcher.ars
    place = (metadata.workstation_name, metadata.pipeline_name)
    files = [
        Expected(each.name, each.crc32, each.size_bytes) for each in await _files(dispatcher, guid)
    ]
    await ensure_synchronise_requested(ars, guid, *place)
    verdict = await await_synchronised(ars, guid, files, *place)
    if not verdict.done:
        raise ArsRefused(f"{guid} is not archived: {verdict.reason}")
    await transact(dispatcher.engine, lambda tx: mark_synchronised(tx, guid))


async def open_share(dispatcher: Dispatcher, guid: str) -> None:
    """Open the asset's share again, for the clusters to fetch its files from."""
    row, metadata = await _asset(dispatcher, guid)
    await ensure_share_open(
        dispatcher.ars,
        guid,
        metadata.institution,
        metadata.collection,
        row.size_mb + row.parent_mb,
    )


async def close_share(dispatcher: Dispatcher, guid: str) -> None:
    """Close the asset's share."""
    await ensure_share_closed(dispatcher.ars, guid)


async def _asset(dispatcher: Dispatcher, guid: str) -> tuple[AssetRow, Metadata]:
    async with dispatcher.engine.connect() as connection:
        return await read_asset(connection, guid), await read_document(connection, guid)


async def _files(dispatcher: Dispatcher, guid: str) -> list[Row[tuple[object, ...]]]:
    async with dispatcher.engine.connect() as connection:
        files = await read_files(connection, guid)
    if not files:
        raise ArsRefused(f"{guid} has no file on record: nothing can be archived")
    return files


async def _brings_more(dispatcher: Dispatcher, guid: str) -> bool:
    async with dispatcher.engine.connect() as connection:
        files = await read_files(connection, guid)
    return any(each.synchronised_at is None for each in files)


def _local(row: AssetRow, each: Row[tuple[object, ...]]) -> LocalFile:
    if row.local_path is None:
        raise ArsRefused(f"{row.guid} has no copy in the store: ingest it again")
    path = row.local_path / each.name
    return LocalFile(path, each.name, each.crc32, each.size_bytes, each.mime_type)


STAGES = {
    "create": create,
    "upload": upload,
    "synchronise": synchronise,
    "open_share": open_share,
    "close_share": close_share,
}
