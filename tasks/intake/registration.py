"""Registering a session: every specimen of its folder becomes an asset with its jobs.

What cannot be read, or names no pipeline we know, is registered too, under its file
name and with nothing but an ingest, which puts it into quarantine with the reason.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from schemas.files import megabytes
from schemas.guid import has_dashed_form
from schemas.metadata.document import Metadata, MetadataError, read_document
from schemas.pipeline.load import Pipeline
from schemas.quarantine import QuarantineEntry
from tasks.dispatch.dispatcher import Dispatcher
from tasks.errors import FileError, PermissionDenied
from tasks.files.copies import document_content
from tasks.files.mounts import MOUNTS, Pulse, each_of
from tasks.files.ndrive import Listing, look_into
from tasks.files.pairing import Pair
from tasks.files.threads import Stop
from tasks.intake.replaced import replaced
from track.commands.assets import (
    NewAsset,
    Registered,
    existing_guids,
    guids_in_folder,
    register_assets,
)
from track.commands.pipelines import UNREADABLE, pipelines_by_name
from track.commands.replaced import note_replaced
from track.records.files import known_files
from track.records.sessions import mark_registered, unregistered_path
from track.schema.database import transact

log = logging.getLogger(__name__)

THUMBNAIL_MB = 20
"""What is reserved for derivatives on top of the master's own size: never less than they need."""

PAGE = 250
"""Specimens registered in one transaction, in about a tenth of a second: an edit of a pipeline, and
whatever finishes behind it, waits for its end. Larger pages are hardly quicker. Killed between
two, the next run finds the first ones known and goes on."""


async def register_session(dispatcher: Dispatcher) -> Registered | None:
    """Register what the session's folder holds; None when that was done before.

    Raises a FileError while the folder cannot be read; reconcile asks for another try.
    """
    engine, session_id, actor = dispatcher.engine, dispatcher.session_id, dispatcher.actor
    path = await transact(engine, unregistered_path, session_id)
    if path is None:
        return None
    listing = await look_into(Path(path), dispatcher.drive.root)
    pipelines = await transact(engine, pipelines_by_name)
    described = await MOUNTS.run(listing.folder.parent, describe_all, listing, pipelines)
    assets = await transact(engine, with_own_guids, session_id, described)
    others = await replaced(dispatcher, listing)
    found = await register_pages(engine, session_id, assets, actor=actor)
    bases = {each.guid: each.file_name for each in assets}
    pairs = {guid: listing.items[bases[guid]] for guid in found.known}
    await transact(engine, _close, dispatcher, listing.folder, pairs, others)
    return found


async def register_pages(
    engine: AsyncEngine, session_id: UUID, assets: Sequence[NewAsset], *, actor: str
) -> Registered:
    """Register assets, a page in a transaction; those of an earlier run are known by then."""
    found = Registered([], [], [])
    for at in range(0, len(assets), PAGE):
        page = assets[at : at + PAGE]
        done = await transact(engine, register_assets, session_id, page, actor=actor)
        for guid in done.new:
            log.info("registered", extra={"guid": guid, "session": session_id})
        for guid in done.reopened:
            log.info("opened again", extra={"guid": guid, "session": session_id})
        found.new.extend(done.new)
        found.reopened.extend(done.reopened)
        found.known.extend(done.known)
    return found


def describe_all(
    pulse: Pulse, listing: Listing, pipelines: dict[str, Pipeline]
) -> list[tuple[NewAsset, bool]]:
    """Each specimen of a folder, and whether its guid is certain."""

    def describe(item: tuple[str, Pair]) -> tuple[NewAsset, bool]:
        return describe_asset(pulse, *item, listing.folder, pipelines)

    return each_of(pulse, describe, sorted(listing.items.items()))


async def _close(
    tx: AsyncConnection,
    dispatcher: Dispatcher,
    folder: Path,
    pairs: Mapping[str, Pair],
    others: Mapping[str, QuarantineEntry],
) -> None:
    """Note that all of the folder is registered, and what of it is not what was taken in.

    `pairs` are the files whose guid was known before.
    """
    known = [*await known_elsewhere(tx, pairs, folder), *others.values()]
    await note_replaced(tx, dispatcher.session_id, others, actor=dispatcher.actor)
    for entry in known:
        log.warning("%s: %s", folder, entry)
    await mark_registered(tx, dispatcher.session_id, known)


async def known_elsewhere(
    tx: AsyncConnection, pairs: Mapping[str, Pair], folder: Path
) -> list[QuarantineEntry]:
    """What a person must know of files that are left alone, since their guid was taken in before.

    Nothing of those that were taken in from this very folder, to which others have come since.
    """
    names = {
        guid: next((e.name for e in (pair.image, pair.json) if e), guid)
        for guid, pair in pairs.items()
    }
    found = []
    for row in await known_files(tx, names):
        image = pairs[row.guid].image
        other = image is not None and row.size_bytes not in (None, image.size_bytes)
        if not other and row.source_path == str(folder):
            continue
        differs = f" as another file of {row.size_bytes} bytes" if other else ""
        found.append(
            QuarantineEntry(
                names[row.guid],
                f"this guid was taken in before{differs}, from {row.path}",
                "if this is another picture, drop it under a guid of its own in a new folder, else"
                " take it away",
            )
        )
    return found


def describe_asset(
    stop: Stop, base: str, pair: Pair, folder: Path, pipelines: dict[str, Pipeline]
) -> tuple[NewAsset, bool]:
    """The asset that one specimen's files make, and whether its guid is certain.

    It is where the metadata names it, or where the name is one made for that. Raises a FileError
    that may pass by itself.
    """
    try:
        metadata = _metadata(stop, pair)
        certain = has_dashed_form(base) or (metadata is not None and metadata.asset_guid == base)
    except PermissionDenied:
        metadata, certain = None, True  # once access is given, it is taken under this name
    image = pair.image_of(metadata.file_format if metadata else None)
    size_mb = megabytes(image.size_bytes if image else 0)
    known = pipelines.get(metadata.pipeline_name) if metadata else None
    asset = NewAsset(base, UNREADABLE, file_name=base, source_path=str(folder), size_mb=size_mb)
    if metadata is None or known is None or metadata.asset_guid != base:
        return asset, certain
    return replace(
        asset,
        pipeline=known.name,
        batch_name=batch_name(metadata),
        reserved_mb=size_mb + THUMBNAIL_MB if known.emits else 0,
    ), True


def _metadata(stop: Stop, pair: Pair) -> Metadata | None:
    """None when it is missing or broken. Raises PermissionDenied, or what may pass by itself."""
    if pair.json is None:
        return None
    try:
        return read_document(document_content(stop, pair.json.path), file=pair.json.name).metadata
    except FileError as error:
        # A drive that is away says nothing of the specimen.
        if error.may_retry or isinstance(error, PermissionDenied):
            raise
        return None
    except MetadataError:
        return None  # ingest says what is wrong, where a person will look


async def with_own_guids(
    tx: AsyncConnection, session_id: UUID, described: Sequence[tuple[NewAsset, bool]]
) -> list[NewAsset]:
    """The assets; one whose guid is only its file's name never gets that of another folder's.

    Cameras count from `IMG_0001` again and again. Files of the same folder are the same specimen,
    however often it is registered.
    """
    unsure = [asset.guid for asset, certain in described if not certain]
    here = await guids_in_folder(tx, session_id, unsure)
    taken = await existing_guids(tx, unsure)
    own = {
        base: here.get(base) or (f"{base}_{session_id.hex[:8]}" if base in taken else base)
        for base in unsure
    }
    return [replace(asset, guid=own.get(asset.guid, asset.guid)) for asset, _ in described]


def batch_name(metadata: Metadata) -> str:
    """`<workstation>_<day it was taken>`, as scripts and disposable labels know it."""
    taken = metadata.date_asset_taken
    return f"{metadata.workstation_name}_{taken:%Y-%m-%d}" if taken else metadata.workstation_name
