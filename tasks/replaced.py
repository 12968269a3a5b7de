"""Files put in the place of ones that were taken in, found when their folder is seen again.

Name and size may be the same; the time tells which are worth reading, the content decides. What
was taken in stays as it is, and a person is told.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.metadata import MetadataError, read_document
from tasks.copies import checksum_file, read_whole
from tasks.dispatcher import Dispatcher
from tasks.file_errors import FileError
from tasks.ndrive import Listing
from tasks.pairing import Entry, Pair
from track.database import transact
from track.replaced import documents_from, same_after_all, taken_from

OTHER_IMAGE = (
    "{name}: another file of the same name and size lies in the place of the one that was taken in;"
    " if this is another picture, drop it under a guid of its own in a new folder, else put the"
    " first one back"
)
OTHER_METADATA = (
    "{name}: it was written anew after it was taken in, and what was taken in counts;"
    " resubmit this specimen's ingest to have it as it is now, else put the first one back"
)
UNREADABLE = (
    "{name}: it was changed after it was taken in and cannot be compared ({reason});"
    " make it readable and touch it"
)


async def replaced(dispatcher: Dispatcher, listing: Listing) -> dict[str, str]:
    """What a person must know of each specimen whose files are no longer what was taken in.

    Only a file of another time than the one taken in is read. Raises a FileError that may pass.
    """
    guids, folder = list(listing.items), str(listing.folder)

    async def read(tx: AsyncConnection) -> tuple[list[Row[Any]], dict[str, dict[str, Any]]]:
        files = await taken_from(tx, folder, guids)
        return files, await documents_from(tx, folder, guids)

    files, documents = await transact(dispatcher.engine, read)
    said: dict[str, str] = {}
    for guid, arrived in documents.items():
        if what := await _other_metadata(listing.items[guid].json, arrived):
            said[guid] = what
    for row in files:
        entry = _named(listing.items[row.guid], row.name)
        if entry is not None and (what := await _other_image(dispatcher, entry, row)):
            said[row.guid] = what
    return said


def _named(pair: Pair, name: str) -> Entry | None:
    entries: Iterable[Entry | None] = (pair.image, *pair.extras)
    return next((entry for entry in entries if entry is not None and entry.name == name), None)


async def _other_metadata(entry: Entry | None, arrived: dict[str, Any]) -> str | None:
    if entry is None:
        return None
    try:
        same = read_document(await read_whole(entry.path)).document == arrived
    except MetadataError:
        same = False
    except FileError as error:
        return _unreadable(entry, error)
    return None if same else OTHER_METADATA.format(name=entry.name)


async def _other_image(dispatcher: Dispatcher, entry: Entry, row: Row[Any]) -> str | None:
    """None also for one of another size, of which its registration tells by itself."""
    if entry.size_bytes != row.size_bytes or entry.mtime == row.source_mtime:
        return None
    try:
        read = await checksum_file(entry.path)
    except FileError as error:
        return _unreadable(entry, error)
    if read.sha256 != row.sha256:
        return OTHER_IMAGE.format(name=entry.name)
    await transact(dispatcher.engine, lambda tx: same_after_all(tx, row.id, entry.mtime))
    return None


def _unreadable(entry: Entry, error: FileError) -> str:
    if error.may_retry:
        raise error
    return UNREADABLE.format(name=entry.name, reason=error.reason)
