"""Closing a session's folder once every specimen of it is in or in quarantine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tasks.dispatcher import Dispatcher
from tasks.ndrive import (
    LISTING,
    QuarantineEntry,
    close_folder,
    list_session,
    listing_hash,
    write_quarantine_note,
)
from tasks.threads import Stop
from track.database import transact
from track.sessions import rename

INGESTS = text("""
    SELECT a.guid, a.file_name, a.quarantine, j.state
    FROM track.asset a
    JOIN track.job j ON j.asset_guid = a.guid
    JOIN track.stage s ON s.id = j.stage_id AND s.kind = 'builtin' AND s.run = 'ingest'
     AND s.pipeline_id = a.pipeline_id
    WHERE a.session_id = ANY(CAST(:sessions AS uuid[])) AND a.parent_guid IS NULL
""")

OF_FOLDER = text("""
    SELECT s.id, s.path, s.listing_hash, s.known, s.registered_at
    FROM track.session mine
    JOIN track.session s ON s.opened_as = mine.opened_as AND s.path = mine.path
    WHERE mine.id = :session
    ORDER BY s.opened_at DESC
""")
"""The sessions of one folder, the newest first: each change of it after the first opened one."""

LEFT_OUT = ("excluded", "cancelled")
"""An ingest that a person skipped or cancelled keeps no folder open."""


@asynccontextmanager
async def settling(dispatcher: Dispatcher) -> AsyncIterator[None]:
    """Settle the session's folder after whatever happens to one of its specimens."""
    try:
        yield
    finally:
        await settle_folder(dispatcher)


async def settle_folder(dispatcher: Dispatcher) -> None:
    """Write the quarantine note and rename the folder, when all of it is decided.

    `imported_` when at least one specimen is in and the others are in, quarantined or left out
    by a person; `error_` when none is in. Done before: nothing happens.
    """
    rows, found = await transact(dispatcher.engine, lambda tx: _read(tx, dispatcher))
    if found.registered_at is None:
        return  # what came to it since is decided by its own session
    folder = Path(found.path)
    taken_in = [row for row in rows if row.state == "done"]
    refused = [row for row in rows if row.quarantine is not None]
    left_out = [row for row in rows if row.state in LEFT_OUT and row.quarantine is None]
    if not (rows or found.known) or len(taken_in + refused + left_out) < len(rows):
        return
    prefix = "imported_" if taken_in else "error_"
    if folder.name.startswith(prefix):
        return
    entries = [_entry(said) for said in [*(row.quarantine for row in refused), *found.known]]
    closed = await LISTING.run(_close, folder, prefix, found.listing_hash, entries)
    if closed is not None:
        path = str(closed)
        await transact(dispatcher.engine, lambda tx: rename(tx, dispatcher.session_id, path))


def _close(
    _: Stop, folder: Path, prefix: str, known_hash: str, entries: list[QuarantineEntry]
) -> Path | None:
    """Close the folder; None when files came since, whose own session will close it."""
    if folder.is_dir() and listing_hash(list_session(folder)) != known_hash:
        return None
    closed = close_folder(folder, prefix, known_hash=known_hash)
    write_quarantine_note(closed, entries)
    return closed


def _entry(said: str) -> QuarantineEntry:
    file, _, rest = said.partition(": ")
    problem, _, remedy = rest.rpartition("; ")
    return QuarantineEntry(file, problem, remedy)


async def _read(
    tx: AsyncConnection, dispatcher: Dispatcher
) -> tuple[list[Row[tuple[str, str, str, str]]], Row[Any]]:
    """The specimens of the folder, whichever of its sessions brought them; the newest session."""
    of_folder = (await tx.execute(OF_FOLDER, {"session": dispatcher.session_id})).all()
    rows = await tx.execute(INGESTS, {"sessions": [row.id for row in of_folder]})
    return list(rows.all()), of_folder[0]
