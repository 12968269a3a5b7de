"""Folders that stay open after their specimens are in: which of them a dispatcher could close.

One that holds files no session has seen cannot be closed, and starting dispatchers for it leads
nowhere. Where the watch looks, it opens their session once they lie still. Elsewhere (a folder
that was taken by hand) nobody looks, so that is done here.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ndrive import NDrive
from schemas.digitisation import ANY_WORKSTATION
from tasks.errors import FileError, named
from tasks.files.mounts import MOUNTS, Pulse
from tasks.files.ndrive import Listing, is_written_in, listed, listing_hash
from tasks.files.pairing import STILL
from track.records.sessions import of_folder, open_session
from track.schema.database import transact

log = logging.getLogger(__name__)


async def closable(
    engine: AsyncEngine, sessions: Sequence[UUID], *, actor: str, drive: NDrive | None = None
) -> list[UUID]:
    """Those of these sessions whose folder holds only what was seen; the others are seen to."""
    if not sessions:
        return []
    drive = drive or await NDrive.aload("default")
    return [each for each in sessions if await _is_closable(engine, drive, each, actor)]


async def _is_closable(engine: AsyncEngine, drive: NDrive, session: UUID, actor: str) -> bool:
    known = await transact(engine, of_folder, session)
    folder = Path(known[0].path)
    try:
        seen = await MOUNTS.run(folder.parent, _look, folder, drive.root)
    except FileError as error:
        log.info("%s is not closed yet: %s", folder, error)
        return False
    if seen is None:
        return True  # it may have been renamed just before a kill
    listing, changed = seen
    content = listing_hash(listing)
    now = time.time()
    since = now - STILL * drive.settle_seconds
    if content == known[0].listing_hash:
        under_way = any(entry.mtime >= since for entry in listing.unfinished)
        return not (under_way or is_written_in(listing, now - drive.settle_seconds))
    still = changed < since
    if listing.items and still and not _is_watched(drive, folder, known[0].workstation):
        fields = {"path": str(folder), "workstation": known[0].workstation}
        opened = await transact(engine, open_session, **fields, listing_hash=content, actor=actor)
        log.info("session %s opened: %s got files since it was taken", opened, folder)
    return False


def _is_watched(drive: NDrive, folder: Path, workstation: str) -> bool:
    right_below = folder.parent.name == workstation
    return right_below and bool({ANY_WORKSTATION, workstation} & set(drive.workstations))


def _look(pulse: Pulse, folder: Path, root: Path) -> tuple[Listing, float] | None:
    """What lies there, and when anything of it changed last, in seconds since 1970.

    None when the folder is gone and its workstation's is not.
    """
    if not folder.is_dir() and folder.parent.is_dir():
        return None
    listing = listed(pulse, folder, root)
    every = (*listing.files, *listing.unfinished, *listing.others)
    try:
        times = [folder.stat().st_mtime, *(entry.mtime for entry in every)]
    except OSError as error:
        raise named(error, folder, reading=True) from error
    return listing, max(times)
