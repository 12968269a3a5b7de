"""Taking one specimen in: checked copies in the store, its metadata on record.

Nothing on the N-Drive is touched. What is broken raises Quarantined with what a person
at the workstation can do about it.
"""

import mimetypes
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.tier import Tier
from schemas.files import FileFacts, megabytes
from schemas.metadata.document import Arrived, MetadataError, read_document
from tasks.dispatch.dispatcher import Dispatcher
from tasks.errors import AskedAPerson, ChecksumMismatch, DifferentContent, Quarantined, TooLarge
from tasks.files.checksums import COPY_AGAIN, Sum, differing_content
from tasks.files.copies import Copied, checksum_file, copy_file, read_document_content
from tasks.files.formats import is_picture
from tasks.files.images import BrokenImage, check_image
from tasks.files.pairing import Entry
from tasks.files.readable import look_as_modules, modules_that_look
from tasks.files.recent_listing import SpecimenFiles
from tasks.files.unwritten import look_for_unwritten
from track.commands.attention import ZEROS, cleared_by, hold
from track.commands.pipelines import pipeline_names, stages_running
from track.commands.replaced import warn_of_ingest
from track.commands.results import note_file
from track.commands.specimen_codes import name_documented
from track.records.documents import create_document
from track.records.files import AssetRow, read_asset, taken_in
from track.records.sessions import folder_of
from track.schema.database import transact


async def ingest(dispatcher: Dispatcher, guid: str) -> None:
    """Look at, copy, verify and record one asset.

    Raises Quarantined; or a FileError, AskedAPerson where the asset is held for one.
    """
    async with dispatcher.engine.connect() as connection:
        row = await read_asset(connection, guid)
        known = await pipeline_names(connection)
        folder = row.source_path or await folder_of(connection, dispatcher.session_id)
        looking = await stages_running(connection, row.pipeline, modules_that_look())
    found = await dispatcher.folder.find(folder, dispatcher.drive.root, row.file_name)
    arrived = await _read_metadata(found, row, known, dispatcher.tier)
    image = _master(found, row.file_name, arrived.metadata.file_format)
    sums = found.sums.get(image.name, ())
    remarks, copied = await _take_in(dispatcher, guid, image, looking, sums)

    async def record(tx: AsyncConnection) -> None:
        mime = mimetypes.guess_type(image.name)[0] or "application/octet-stream"
        facts = FileFacts(name=image.name, crc32=copied.crc32, size_bytes=copied.size_bytes)
        await note_file(
            tx,
            guid,
            facts,
            mime_type=mime,
            sha256=copied.sha256,
            source_mtime=image.mtime,
        )
        await create_document(tx, guid, arrived, actor=dispatcher.actor)
        await name_documented(tx, guid, actor=dispatcher.actor)
        size_mb = megabytes(copied.size_bytes)
        await taken_in(tx, guid, dispatcher.store.folder(guid), size_mb)
        for what in remarks:
            await warn_of_ingest(tx, guid, what)

    await transact(dispatcher.engine, record)


async def _read_metadata(
    found: SpecimenFiles, row: AssetRow, known: set[str], tier: Tier
) -> Arrived:
    base, pair = row.file_name, found.pair
    if pair.json is None:
        raise _missing(found, base, "metadata", "drop the JSON beside its image")
    if len(pair.documents) > 1:
        names = " and ".join(sorted(each.name for each in pair.documents))
        raise Quarantined(base, f"{names} are both its metadata", "leave the right one")
    try:
        content = await read_document_content(pair.json.path)
        wrong = differing_content(found.sums.get(pair.json.name, ()), content)
        if wrong is not None:
            raise Quarantined(pair.json.name, wrong, COPY_AGAIN)
        arrived = read_document(content, file=pair.json.name)
    except MetadataError as error:
        raise Quarantined(pair.json.name, error.located, error.remedy) from error
    except TooLarge as error:
        raise Quarantined(pair.json.name, error.reason, error.remedy) from error
    metadata = arrived.metadata
    if metadata.asset_guid != base:
        raise Quarantined(
            pair.json.name,
            f"asset_guid is {metadata.asset_guid!r}, the file is called {base!r}",
            "give both the same name",
        )
    if metadata.pipeline_name not in known:
        raise Quarantined(
            pair.json.name,
            f"pipeline_name {metadata.pipeline_name!r} is not a pipeline we know",
            f"write one of {', '.join(sorted(known))}",
        )
    if metadata.pipeline_name != row.pipeline:
        # Its jobs are those of another pipeline, or of none: done here, it would end there.
        raise Quarantined(
            pair.json.name,
            "it was written anew, or could not be read, when its folder was taken",
            "drop metadata and image again",
        )
    if missing := tier.missing(metadata):
        raise Quarantined(
            pair.json.name, f"{', '.join(missing)} is missing", "the archive needs it: write it"
        )
    return arrived


def _master(found: SpecimenFiles, base: str, file_format: str | None) -> Entry:
    """The one file that the metadata means; a preview is never taken in its place."""
    pair = found.pair
    files = pair.images_of(file_format)
    if len(files) == 1:
        return files[0]
    if files:
        names = " and ".join(sorted(each.name for each in files))
        raise Quarantined(base, f"{names} may both be its image", "leave the one to be archived")
    there = [each.name for each in (pair.image, *pair.extras) if each and is_picture(each.name)]
    if file_format and there:
        raise Quarantined(
            pair.json.name if pair.json else base,
            f"it names the format {file_format}, and there is only {', '.join(there)}",
            f"drop the {file_format} beside its metadata, or correct file_format",
        )
    raise _missing(found, base, "image", "drop the image beside its metadata")


def _missing(found: SpecimenFiles, base: str, what: str, remedy: str) -> Quarantined:
    if found.alike:
        names = ", ".join(found.alike)
        return Quarantined(
            base,
            f"its {what} is missing, and {names} differs from it only in capitals",
            "give metadata and image the same name, letter by letter",
        )
    return Quarantined(base, f"its {what} is missing", remedy)


async def _take_in(
    dispatcher: Dispatcher, guid: str, image: Entry, looking: list[str], sums: Sequence[Sum]
) -> tuple[list[str], Copied]:
    """What a person should know of the image, and its copy."""
    try:
        await check_image(image.path)
        remarks = await look_as_modules(image.path, looking)
        remarks += await _ask_about_unwritten(dispatcher, guid, image)
        store = dispatcher.store.folder(guid)
        return remarks, await copy_file(image.path, store / image.name, sums)
    except (BrokenImage, ChecksumMismatch, DifferentContent) as error:
        raise Quarantined(image.name, error.reason, error.remedy) from error


async def _ask_about_unwritten(dispatcher: Dispatcher, guid: str, image: Entry) -> list[str]:
    """Hold the asset when a part of its image was never written; a remark where that was accepted.

    Raises AskedAPerson until a person has let this very content go on, or another FileError.
    """
    part = await look_for_unwritten(image.path)
    if part is None:
        return []
    crc32 = (await checksum_file(image.path)).crc32
    file = f"{image.name} (CRC-32 {crc32:08x})"
    what = f"{part.removesuffix('all zero')}{ZEROS}"
    note = f"{file}: {what}; {AskedAPerson.remedy}"
    async with dispatcher.engine.connect() as connection:
        who = await cleared_by(connection, guid, note)
    if who is not None:
        return [f"{file}: {part}, which {who} has accepted"]
    await transact(dispatcher.engine, hold, guid, [note], actor=dispatcher.actor)
    raise AskedAPerson(image.path, what)
