"""The archive stages of one asset: create, upload, synchronise, open and close its share.

Each is an effect on ARS that looks before it acts, then notes in the database what ARS
has been seen to hold. That a share may be open is noted before it is opened.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.ars_client import ArsBusy, ArsClient, ArsRefused, LocalFile
from schemas.metadata.document import Metadata
from tasks.archive.ars import (
    NoShare,
    Outcome,
    Verdict,
    await_synchronised,
    ensure_created,
    ensure_share_closed,
    ensure_share_open,
    ensure_specimens,
    ensure_synchronise_requested,
    ensure_uploaded,
    synchronised,
)
from tasks.archive.metadata import ars_body, specimen_bodies
from tasks.dispatch.dispatcher import Dispatcher
from track.commands import shares
from track.commands.refusals import note_refusal
from track.commands.results import apply_uploaded
from track.jobs.claims import Claim
from track.records.documents import mark_pushed, read_document, unpushed
from track.records.files import AssetRow, mark_synchronised, read_asset, read_files
from track.schema.database import transact


@dataclass(frozen=True)
class Expected:
    """A file that ERDA must list, by name, checksum and size in bytes."""

    name: str
    crc32: int
    size_bytes: int


async def create(dispatcher: Dispatcher, guid: str) -> None:
    """Have ARS know the asset, with a share open for files that ERDA has not."""
    row, metadata = await _asset(dispatcher, guid)
    ars, engine = dispatcher.ars, dispatcher.engine
    await ensure_specimens(ars, specimen_bodies(ars, metadata))
    pending = await transact(engine, lambda tx: unpushed(tx, guid))
    number, metadata = (pending.revision, pending.metadata) if pending else (0, metadata)
    await transact(engine, lambda tx: shares.opening(tx, guid, _share_mb(row)))
    created = await ensure_created(ars, ars_body(ars, metadata), _share_mb(row))
    if created.new:
        await transact(engine, lambda tx: mark_pushed(tx, guid, number))
    if created.share_allocation_mb is not None:
        await transact(engine, lambda tx: shares.opened(tx, guid))
    elif await _brings_more(dispatcher, guid):
        await open_share(dispatcher, guid)
    else:
        await transact(engine, lambda tx: shares.closed(tx, guid))


async def upload(dispatcher: Dispatcher, guid: str) -> None:
    """Bring the asset's files from the store into its share."""
    row, metadata = await _asset(dispatcher, guid)
    files = [_local(row, each) for each in await _files(dispatcher, guid)]
    names = [each.name for each in files]
    first = await transact(dispatcher.engine, lambda tx: shares.opening(tx, guid, _share_mb(row)))
    place = (metadata.institution, metadata.collection)
    done = await ensure_uploaded(dispatcher.ars, guid, *place, files)

    async def note(tx: AsyncConnection) -> None:
        if done.sent:
            await shares.opened(tx, guid)
        elif first:
            await shares.closed(tx, guid)  # there was nothing to bring, and none was opened
        await apply_uploaded(tx, guid, names)

    await transact(dispatcher.engine, note)


async def synchronise(dispatcher: Dispatcher, guid: str) -> None:
    """Have ARS bring the share to ERDA, and wait until that is proven.

    While ERDA takes no files at all this comes back later, however long it lasts. When the
    share is gone with what ERDA lacks, the stage that filled it is done again first.
    """
    _, metadata = await _asset(dispatcher, guid)
    ars: ArsClient = dispatcher.ars
    place = (metadata.workstation_name, metadata.pipeline_name)
    files = [
        Expected(each.name, each.crc32, each.size_bytes) for each in await _files(dispatcher, guid)
    ]
    try:
        await ensure_synchronise_requested(ars, guid, *place)
    except NoShare:
        if not await _filled_again(dispatcher, guid, files):
            raise
        return
    verdict = await await_synchronised(ars, guid, files, *place)
    await _note_verdict(dispatcher, guid, verdict)


async def _filled_again(dispatcher: Dispatcher, guid: str, files: Sequence[Expected]) -> bool:
    """Have the stage that fills the share done again, unless ERDA lacks nothing it could bring."""
    verdict = await synchronised(dispatcher.ars, guid, files)
    held = await dispatcher.ars.files.listed(guid)
    if all(any(row.synchronised and row.holds(file) for row in held) for file in files):
        raise ArsRefused(f"{guid} is not archived: {verdict.reason}")

    async def work(tx: AsyncConnection) -> bool:
        await shares.closed(tx, guid)
        return await shares.upload_again(tx, guid, actor=dispatcher.actor)

    return await transact(dispatcher.engine, work)


async def _note_verdict(dispatcher: Dispatcher, guid: str, verdict: Verdict) -> None:
    """Note what is proven. Raises ArsBusy while ERDA takes nobody's files, else ArsRefused."""

    async def note(tx: AsyncConnection) -> None:
        if verdict.done:
            await mark_synchronised(tx, guid)
        if not verdict.share_open:
            await shares.closed(tx, guid)

    await transact(dispatcher.engine, note)
    if verdict.done:
        return
    if verdict.outcome is not Outcome.FAILED or not verdict.share_open:
        raise ArsRefused(f"{guid} is not archived: {verdict.reason}")
    refusal = await transact(dispatcher.engine, lambda tx: note_refusal(tx, guid))
    if refusal.is_final:
        others = "ERDA took other specimens' files meanwhile"
        raise ArsRefused(f"{guid} is not archived, though {others}: {verdict.reason}")
    since = f"{refusal.since:%Y-%m-%d %H:%M} UTC"
    what = f"ERDA does not take files since {since} ({verdict.reason}); it is asked again by itself"
    raise ArsBusy(what, seconds=refusal.wait_s)


async def open_share(dispatcher: Dispatcher, guid: str) -> None:
    """Open the asset's share again, for the clusters to fetch its files from."""
    row, metadata = await _asset(dispatcher, guid)
    place = (metadata.institution, metadata.collection)
    await transact(dispatcher.engine, lambda tx: shares.opening(tx, guid, _share_mb(row)))
    await ensure_share_open(dispatcher.ars, guid, *place, _share_mb(row))
    await transact(dispatcher.engine, lambda tx: shares.opened(tx, guid))


async def have_share_open(dispatcher: Dispatcher, claim: Claim) -> None:
    """Open the share of an asset, unless it is known to be open, for a stage about to start."""
    if await transact(dispatcher.engine, lambda tx: shares.opening_for(tx, claim.job_id)):
        await open_share(dispatcher, claim.guid)


async def close_share(dispatcher: Dispatcher, guid: str) -> None:
    """Close the asset's share."""
    await transact(dispatcher.engine, lambda tx: shares.closing(tx, guid))
    await ensure_share_closed(dispatcher.ars, guid)
    await transact(dispatcher.engine, lambda tx: shares.closed(tx, guid))


def _share_mb(row: AssetRow) -> int:
    return row.size_mb + row.parent_mb


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
