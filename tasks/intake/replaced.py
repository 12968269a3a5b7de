"""Files put in the place of ones that were taken in, found when their folder is seen again.

Name and size may be the same; the time shows which are worth reading, the content decides. What
was taken in stays as it is, and a person gets a note.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.metadata.document import MetadataError, read_document
from schemas.quarantine import QuarantineEntry
from tasks.dispatch.dispatcher import Dispatcher
from tasks.errors import FileError
from tasks.files.copies import checksum_file, read_document_content
from tasks.files.ndrive import Listing
from tasks.files.pairing import Entry, Pair, normal
from track.commands.replaced import documents_from, same_after_all, taken_from
from track.schema.database import transact

OTHER_IMAGE = (
    "another file of the same name and size lies in the place of the one that was taken in",
    "if this is another picture, drop it under a guid of its own in a new folder, else put the"
    " first one back",
)
OTHER_METADATA = (
    "it was written anew after it was taken in, and what was taken in counts",
    "resubmit this specimen's ingest to have it as it is now, else put the first one back",
)


async def replaced(dispatcher: Dispatcher, listing: Listing) -> dict[str, QuarantineEntry]:
    """What a person must know of each specimen whose files are no longer what was taken in.

    Only a file of another time than the one taken in is read. Raises a FileError that may pass.
    """
    guids, folder = list(listing.items), str(listing.folder)

    async def read(tx: AsyncConnection) -> tuple[list[Row[Any]], dict[str, dict[str, Any]]]:
        files = await taken_from(tx, folder, guids)
        return files, await documents_from(tx, folder, guids)

    files, documents = await transact(dispatcher.engine, read)
    notes: dict[str, QuarantineEntry] = {}
    for guid, arrived in documents.items():
        if what := await _other_metadata(listing.items[guid].json, arrived):
            notes[guid] = what
    names = {(row.guid, normal(row.name)) for row in files}
    for row in files:
        if what := _other_master(listing.items[row.guid], names, row, documents.get(row.guid)):
            notes[row.guid] = what
        entry = _named(listing.items[row.guid], row.name)
        if entry is not None and (what := await _other_image(dispatcher, entry, row)):
            notes[row.guid] = what
    return notes


def _other_master(
    pair: Pair, names: set[tuple[str, str]], row: Row[Any], arrived: dict[str, Any] | None
) -> QuarantineEntry | None:
    """A file that would have been the master, had it been there: a TIFF beside a JPEG taken in."""
    image = pair.image
    if image is None or (row.guid, normal(image.name)) in names or arrived is None:
        return None
    if arrived.get("file_format") or not any(_is_named(each, row.name) for each in pair.extras):
        return None
    return QuarantineEntry(
        image.name,
        f"it came after {row.name} had been taken in as this specimen's image, and what was taken"
        " in counts",
        "if this is its master, drop both under a guid of their own in a new folder, with"
        " file_format in the metadata, else take it away",
    )


def _is_named(entry: Entry, name: str) -> bool:
    return normal(entry.name) == normal(name)


def _named(pair: Pair, name: str) -> Entry | None:
    entries: Iterable[Entry | None] = (pair.image, *pair.extras)
    return next((entry for entry in entries if entry and _is_named(entry, name)), None)


async def _other_metadata(entry: Entry | None, arrived: dict[str, Any]) -> QuarantineEntry | None:
    if entry is None:
        return None
    try:
        same = read_document(await read_document_content(entry.path)).document == arrived
    except MetadataError:
        same = False
    except FileError as error:
        return _unreadable(entry, error)
    return None if same else QuarantineEntry(entry.name, *OTHER_METADATA)


async def _other_image(
    dispatcher: Dispatcher, entry: Entry, row: Row[Any]
) -> QuarantineEntry | None:
    """None also for one of another size, which its registration reports by itself."""
    if entry.size_bytes != row.size_bytes or entry.mtime == row.source_mtime:
        return None
    try:
        read = await checksum_file(entry.path)
    except FileError as error:
        return _unreadable(entry, error)
    if read.sha256 != row.sha256:
        return QuarantineEntry(entry.name, *OTHER_IMAGE)
    await transact(dispatcher.engine, same_after_all, row.id, entry.mtime)
    return None


def _unreadable(entry: Entry, error: FileError) -> QuarantineEntry:
    if error.may_retry:
        raise error
    return QuarantineEntry(
        entry.name,
        f"it was changed after it was taken in and cannot be compared ({error.reason})",
        "make it readable and touch it",
    )
