"""Closing a session's folder once every specimen of it is in or in quarantine.

A folder may have several sessions: each file that comes late opens a further one. It is closed by
whichever of them sees all of it decided, and only while nothing lies in it that none of them saw.
"""

import logging
import math
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import QuarantineEntry
from tasks.dispatch.dispatcher import Dispatcher
from tasks.errors import named
from tasks.files.mounts import MOUNTS, Pulse
from tasks.files.ndrive import (
    close_folder,
    is_written_in,
    listed,
    listing_hash,
    write_quarantine_note,
)
from tasks.files.pairing import STILL
from track.records.sessions import decided_ingests, of_folder, rename
from track.schema.database import transact

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decided:
    """A folder of which everything is decided; `known` has what is to be noted, by listing hash.

    `latest` is the hash of the listing that was registered last.
    """

    folder: Path
    specimens: int
    taken_in: bool
    refused: Sequence[QuarantineEntry]
    known: Mapping[str, Sequence[QuarantineEntry]]
    latest: str

    def saw(self, content: str) -> bool:
        """Whether what has this hash was looked at for all that may be in it.

        An earlier listing that is there again may make whole what was refused since.
        """
        return content == self.latest or (not self.refused and content in self.known)


@asynccontextmanager
async def closing_folder(dispatcher: Dispatcher) -> AsyncIterator[None]:
    """Close the session's folder, if it can be, after whatever happened to one specimen of it.

    The last ones of a burst are decided together, and close it together, too.
    """
    try:
        yield
    finally:
        await dispatcher.closing.do(partial(close_session_folder, dispatcher))


async def close_session_folder(dispatcher: Dispatcher) -> None:
    """Write the quarantine note and rename the folder, when all of it is decided.

    `imported_` when at least one specimen is in and the others are in, quarantined or left out
    by a person; `error_` when none is in. Done before: nothing happens.
    """
    found = await transact(dispatcher.engine, _decided, dispatcher)
    if found is None:
        return
    prefix = "imported_" if found.taken_in else "error_"
    if found.folder.name.startswith(prefix):
        return
    drive = dispatcher.drive
    now = time.time()
    since, still = now - STILL * drive.settle_seconds, now - drive.settle_seconds
    closed = await MOUNTS.run(
        found.folder.parent, close, found, prefix, drive.root, since, still, changes=True
    )
    if closed is not None:
        path = str(closed)
        await transact(dispatcher.engine, rename, dispatcher.session_id, path)


async def _decided(tx: AsyncConnection, dispatcher: Dispatcher) -> Decided | None:
    """The folder, whichever of its sessions brought its specimens; None while one is to come."""
    sessions = await of_folder(tx, dispatcher.session_id)
    if any(each.registered_at is None for each in sessions):
        return None  # what came to it since is decided by its own session
    rows = await decided_ingests(tx, [each.id for each in sessions])
    if rows is None:
        return None
    return Decided(
        folder=Path(sessions[0].path),
        specimens=len(rows) + sum(len(each.known) for each in sessions),
        taken_in=any(row.state == "done" for row in rows),
        refused=[QuarantineEntry(**row.quarantine) for row in rows if row.quarantine is not None],
        known={
            each.listing_hash: [QuarantineEntry(**known) for known in each.known]
            for each in sessions
        },
        latest=sessions[0].listing_hash,
    )


def close(
    pulse: Pulse, found: Decided, prefix: str, root: Path, since: float, still: float = math.inf
) -> Path | None:
    """Close the folder; None when it was changed since, whose own session will close it.

    None also while a copy is under way that went on `since` (seconds since 1970), or another file
    of the folder changed since `still`: the copying program would no longer find its folder.
    Reconcile has it tried again.
    """
    folder = found.folder
    if folder.is_dir():
        listing = listed(pulse, folder, root)
        under_way = any(entry.mtime >= since for entry in listing.unfinished)
        if under_way or not found.saw(listing_hash(listing)):
            return None
        if is_written_in(listing, still):
            return None
    elif not found.specimens:
        return None
    closed = close_folder(folder, prefix, known=found.known)
    content = listing_hash(listed(pulse, closed, root))
    if not found.saw(content) and _reopened(closed, folder):
        return None
    write_quarantine_note(closed, [*found.refused, *found.known.get(content, ())])
    return closed


def _reopened(closed: Path, folder: Path) -> bool:
    """Give the folder its name back: a file came between the look at it and its closing.

    The watch would never look into a closed one.
    """
    if os.path.lexists(folder):
        log.warning("%s holds files that came while it was closed; move them elsewhere", closed)
        return False
    try:
        closed.rename(folder)
    except OSError as error:
        raise named(error, closed, reading=False) from error
    log.info("%s got a file while it was closed: it is open again", folder)
    return True
