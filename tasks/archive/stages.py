"""The archive stages of one asset: create, upload, synchronise, open and close its share.

Each is an effect on the archive that looks before it acts, then notes in the database what
the archive has been seen to hold. That a share may be open is noted before it is opened.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.tier import LocalFile, NoShare, Outcome, TierBusy, TierRefused, Verdict
from schemas.metadata.document import Metadata
from tasks.dispatch.dispatcher import Dispatcher, this_dispatcher
from tasks.dispatch.held_job import HeldJob
from track.commands import shares
from track.commands.refusals import note_refusal
from track.commands.results import apply_uploaded
from track.commands.resuming import resume_after
from track.records.documents import mark_pushed, read_document, unpushed
from track.records.files import AssetRow, expected_files, mark_synchronised, read_asset
from track.schema.database import transact

Rows = Sequence[Row[Any]]
"""Files by name, crc32 and size_bytes."""


async def create(dispatcher: Dispatcher, guid: str) -> None:
    """Have the archive know the asset, with a share open for files of which it has no copy."""
    row, metadata = await _asset(dispatcher, guid)
    tier, engine = dispatcher.tier, dispatcher.engine
    pending = await transact(engine, unpushed, guid)
    number, metadata = (pending.revision, pending.metadata) if pending else (0, metadata)
    await tier.prepare(metadata)
    await transact(engine, shares.opening, guid, _share_mb(row))
    created = await tier.create(metadata, _share_mb(row))
    if created.new:
        await transact(engine, mark_pushed, guid, number)
    if created.share_open:
        await transact(engine, shares.opened, guid)
    elif any(each.synchronised_at is None for each in await transact(engine, expected_files, guid)):
        await open_share(dispatcher, guid)
    else:
        await transact(engine, shares.closed, guid)


async def upload(dispatcher: Dispatcher, guid: str) -> None:
    """Bring the asset's files from the store into its share."""
    row, metadata = await _asset(dispatcher, guid)
    files = [_local(row, each) for each in await _files(dispatcher, guid)]
    names = [each.name for each in files]
    first = await transact(dispatcher.engine, shares.opening, guid, _share_mb(row))
    sent = await dispatcher.tier.put(metadata, files)

    async def note(tx: AsyncConnection) -> None:
        if sent:
            await shares.opened(tx, guid)
        elif first:
            await shares.closed(tx, guid)  # there was nothing to bring, and none was opened
        await apply_uploaded(tx, guid, names)

    await transact(dispatcher.engine, note)


async def synchronise(dispatcher: Dispatcher, guid: str) -> None:
    """Have the archive make the share's files durable, and wait until that is proven.

    While it takes no files at all this comes back later, however long that lasts. When the
    share is gone with what is not durable, the stage that filled it is done again first.
    """
    _, metadata = await _asset(dispatcher, guid)
    files = await _files(dispatcher, guid)
    try:
        verdict = await dispatcher.tier.make_durable(metadata, files)
    except NoShare:
        if not await _filled_again(dispatcher, guid, files):
            raise
        return
    await _note_verdict(dispatcher, guid, verdict)


async def _filled_again(dispatcher: Dispatcher, guid: str, files: Rows) -> bool:
    """Have the stage that fills the share done again, unless there is nothing it could bring."""
    verdict = await dispatcher.tier.prove(guid, files)
    if not verdict.missing:
        raise TierRefused(f"{guid} is not archived: {verdict.reason}")

    why = f"its share is gone, and {dispatcher.tier.durable_name} lacks what was in it"

    async def work(tx: AsyncConnection) -> bool:
        await shares.closed(tx, guid)
        return await shares.upload_again(tx, guid, actor=dispatcher.actor, why=why)

    return await transact(dispatcher.engine, work)


async def _note_verdict(dispatcher: Dispatcher, guid: str, verdict: Verdict) -> None:
    """Note what is proven. Raises TierBusy while nobody's files are taken, else TierRefused."""

    async def note(tx: AsyncConnection) -> None:
        if verdict.done:
            await mark_synchronised(tx, guid)
            await resume_after(tx, guid)
        if not verdict.share_open:
            await shares.closed(tx, guid)

    await transact(dispatcher.engine, note)
    if verdict.done:
        return
    if verdict.outcome is not Outcome.FAILED or not verdict.share_open:
        raise TierRefused(f"{guid} is not archived: {verdict.reason}")
    refusal = await transact(dispatcher.engine, note_refusal, guid)
    where = dispatcher.tier.durable_name
    if refusal.is_final:
        others = f"{where} took other specimens' files meanwhile"
        raise TierRefused(f"{guid} is not archived, though {others}: {verdict.reason}")
    since = f"{refusal.since:%Y-%m-%d %H:%M} UTC"
    why = f"{where} does not take files since {since} ({verdict.reason})"
    raise TierBusy(f"{why}; it is asked again by itself", seconds=refusal.wait_s)


async def open_share(dispatcher: Dispatcher, guid: str) -> None:
    """Open the asset's share again, for the clusters to fetch its files from."""
    row, metadata = await _asset(dispatcher, guid)
    await transact(dispatcher.engine, shares.opening, guid, _share_mb(row))
    await dispatcher.tier.open(metadata, _share_mb(row))
    await transact(dispatcher.engine, shares.opened, guid)


async def submit_with_share(job: HeldJob) -> None:
    """Queue a job at a site; the share of its asset is opened first, unless it is known to be."""
    if not await job.submit():
        await open_share(this_dispatcher(), job.claim.guid)
        await job.submit_shared()


async def close_share(dispatcher: Dispatcher, guid: str) -> None:
    """Close the asset's share."""
    await transact(dispatcher.engine, shares.closing, guid)
    await dispatcher.tier.close(guid)
    await transact(dispatcher.engine, shares.closed, guid)


def _share_mb(row: AssetRow) -> int:
    return row.size_mb + row.parent_mb


async def _asset(dispatcher: Dispatcher, guid: str) -> tuple[AssetRow, Metadata]:
    async with dispatcher.engine.connect() as connection:
        return await read_asset(connection, guid), await read_document(connection, guid)


async def _files(dispatcher: Dispatcher, guid: str) -> Rows:
    files = await transact(dispatcher.engine, expected_files, guid)
    if not files:
        raise TierRefused(f"{guid} has no file on record: nothing can be archived")
    return files


def _local(row: AssetRow, each: Row[Any]) -> LocalFile:
    if row.local_path is None:
        raise TierRefused(f"{row.guid} has no copy in the store: ingest it again")
    path = row.local_path / each.name
    return LocalFile(path, each.name, each.crc32, each.size_bytes, each.mime_type)


STAGES = {
    "create": create,
    "upload": upload,
    "synchronise": synchronise,
    "open_share": open_share,
    "close_share": close_share,
}
