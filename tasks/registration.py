"""Registering a session: every specimen of its folder becomes an asset with its jobs.

What cannot be read, or names no pipeline we know, is registered too, under its file
name and with nothing but an ingest, which puts it into quarantine with the reason.
"""

import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.metadata import Metadata, MetadataError, read_document
from schemas.pipeline import Pipeline
from tasks.copies import COPYING, whole
from tasks.dispatcher import Dispatcher
from tasks.file_errors import FileError
from tasks.ndrive import Listing, Pair, look_into
from tasks.replaced import replaced
from tasks.threads import Stop
from track.assets import NewAsset, Registered, register_assets
from track.database import transact
from track.pipelines import UNREADABLE
from track.replaced import note_replaced
from track.results import megabytes
from track.sessions import mark_registered
from track.tables import pipeline, session

log = logging.getLogger(__name__)

THUMBNAIL_MB = 20
"""What is reserved for derivatives beside the master's own size: never less than they need."""


PAGE = 100
"""Specimens registered in one transaction: an edit of a pipeline, and whatever finishes behind
it, waits for its end. Killed between two, the next run finds the first ones known and goes on."""


async def register_session(dispatcher: Dispatcher) -> Registered | None:
    """Register what the session's folder holds; None when that was done before.

    Raises a FileError while the folder cannot be read; reconcile asks for another try.
    """

    async def read(tx: AsyncConnection) -> tuple[str | None, dict[str, Pipeline]]:
        open_ = select(session.c.path).where(
            session.c.id == dispatcher.session_id, session.c.registered_at.is_(None)
        )
        path = (await tx.execute(open_)).scalar_one_or_none()
        rows = await tx.execute(select(pipeline.c.name, pipeline.c.definition))
        return path, {row.name: Pipeline.model_validate(row.definition) for row in rows}

    path, pipelines = await transact(dispatcher.engine, read)
    if path is None:
        return None
    listing = await look_into(Path(path), dispatcher.drive.root)
    assets = [
        await COPYING.run(as_asset, base, pair, listing.folder, pipelines)
        for base, pair in sorted(listing.items.items())
    ]
    others = await replaced(dispatcher, listing)

    found = Registered([], [], [])
    for at in range(0, len(assets), PAGE):
        page = await transact(
            dispatcher.engine,
            partial(
                register_assets,
                session_id=dispatcher.session_id,
                assets=assets[at : at + PAGE],
                actor=dispatcher.actor,
            ),
        )
        found.new.extend(page.new)
        found.reopened.extend(page.reopened)
        found.known.extend(page.known)
    await transact(dispatcher.engine, lambda tx: _close(tx, dispatcher, listing, found, others))
    return found


async def _close(
    tx: AsyncConnection,
    dispatcher: Dispatcher,
    listing: Listing,
    found: Registered,
    others: Mapping[str, str],
) -> None:
    """Note that all of the folder is registered, and what of it is not what was taken in."""
    pairs = {guid: listing.items[guid] for guid in found.known}
    known = [*await known_elsewhere(tx, pairs, listing.folder), *others.values()]
    await note_replaced(tx, dispatcher.session_id, others, actor=dispatcher.actor)
    for said in known:
        log.warning("%s: %s", listing.folder, said)
    await mark_registered(tx, dispatcher.session_id, known)


KNOWN = text("""
    SELECT a.guid, s.path, a.source_path, f.size_bytes
    FROM unnest(CAST(:guids AS text[]), CAST(:names AS text[])) AS k(guid, name)
    JOIN track.asset a ON a.guid = k.guid
    JOIN track.session s ON s.id = a.session_id
    LEFT JOIN track.file f ON f.asset_guid = a.guid AND f.name = k.name
    ORDER BY a.guid
""")


async def known_elsewhere(
    tx: AsyncConnection, pairs: Mapping[str, Pair], folder: Path
) -> list[str]:
    """What a person must know of files that are left alone, since their guid was taken in before.

    Nothing of those that were taken in from this very folder, to which others have come since.
    """
    images = {guid: pair.image for guid, pair in pairs.items()}
    names = {guid: image.name if image else f"{guid}.json" for guid, image in images.items()}
    asked = {"guids": list(names), "names": list(names.values())}
    found = []
    for row in await tx.execute(KNOWN, asked):
        image = images[row.guid]
        other = image is not None and row.size_bytes not in (None, image.size_bytes)
        if not other and row.source_path == str(folder):
            continue
        differs = f" as another file of {row.size_bytes} bytes" if other else ""
        found.append(
            f"{names[row.guid]}: this guid was taken in before{differs}, from {row.path}; if this"
            " is another picture, drop it under a guid of its own in a new folder, else take it"
            " away"
        )
    return found


def as_asset(
    stop: Stop, base: str, pair: Pair, folder: Path, pipelines: dict[str, Pipeline]
) -> NewAsset:
    """What is registered of one specimen's files. Raises a FileError that may pass by itself."""
    metadata = _metadata(stop, pair)
    image = pair.image_of(metadata.file_format if metadata else None)
    size_mb = megabytes(image.size_bytes if image else 0)
    known = pipelines.get(metadata.pipeline_name) if metadata else None
    if metadata is None or known is None or metadata.asset_guid != base:
        return NewAsset(
            guid=base,
            pipeline=UNREADABLE,
            file_name=base,
            source_path=str(folder),
            size_mb=size_mb,
        )
    return NewAsset(
        guid=base,
        pipeline=known.name,
        file_name=base,
        batch_name=batch_name(metadata),
        source_path=str(folder),
        size_mb=size_mb,
        reserved_mb=size_mb + THUMBNAIL_MB if known.emits else 0,
    )


def _metadata(stop: Stop, pair: Pair) -> Metadata | None:
    if pair.json is None:
        return None
    try:
        return read_document(whole(stop, pair.json.path), file=pair.json.name).metadata
    except FileError as error:
        if error.may_retry:  # a drive that is away says nothing of the specimen
            raise
        return None
    except MetadataError:
        return None  # ingest says what is wrong, where a person will look


def batch_name(metadata: Metadata) -> str:
    """`<workstation>_<day it was taken>`, as scripts and disposable labels know it."""
    taken = metadata.date_asset_taken
    return f"{metadata.workstation_name}_{taken:%Y-%m-%d}" if taken else metadata.workstation_name
