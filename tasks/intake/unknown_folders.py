"""Closed folders that no session tells of: the database came back from an older backup.

Nobody looks at a closed folder again, so a person has to know of it. Renamed back it is taken in
again; what the archive has of it already is found there and not made twice.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.ndrive import NDrive
from schemas.digitisation import ANY_WORKSTATION
from tasks.files.ndrive import CLOSED_PREFIXES, list_session, listing_hash
from track.records.sessions import is_known, known_paths

CLOSED = re.compile(rf"(?:{'|'.join(CLOSED_PREFIXES)})(?P<plain>.+?)(?: [(]\d+[)])?")
"""A closed folder's name, and what the folder was called before."""


async def unknown_folders(tx: AsyncConnection, drive: NDrive, since: float) -> list[Path]:
    """The folders on the N-Drive closed since then that belong to no session, by their names.

    `since` is in seconds since 1970: others may have closed theirs before there was a refinery.
    One of a session that the database still has, and that was closed after the backup, is known by
    what lies in it. Raises OSError, or a FileError, where the drive cannot be read.
    """
    closed = sorted(path for path in _closed_folders(drive) if path.stat().st_ctime >= since)
    known = await known_paths(tx, [str(path) for path in closed])
    return [path for path in closed if str(path) not in known and not await _opened(tx, path)]


def remedy(folders: list[Path]) -> str:
    """What to do about them, in a sentence with their names, for a person."""
    names = "\n".join(f"  {path}" for path in folders)
    return (
        f"folders that were closed after the backup, {len(folders)}, belong to no session that the "
        "database knows. Take the prefix off each name, and it is taken in again; nothing is "
        f"archived twice:\n{names}"
    )


def _closed_folders(drive: NDrive) -> Iterator[Path]:
    every = ANY_WORKSTATION in drive.workstations
    for workstation in drive.root.iterdir():
        if workstation.is_dir() and (every or workstation.name in drive.workstations):
            yield from (path for path in workstation.iterdir() if CLOSED.fullmatch(path.name))


async def _opened(tx: AsyncConnection, folder: Path) -> bool:
    found = CLOSED.fullmatch(folder.name)
    assert found is not None
    names = {found["plain"], folder.name.partition("_")[2]}
    content = listing_hash(list_session(folder))
    paths = [str(folder.with_name(name)) for name in names]
    return any([await is_known(tx, path=path, listing_hash=content) for path in paths])
