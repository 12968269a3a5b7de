"""Opening the session of a folder, with the event for Prefect in the same commit."""

import logging
from pathlib import Path
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ndrive import NDrive
from tasks.errors import FileError
from tasks.files.mounts import MOUNTS, Pulse
from tasks.files.names import is_readable_name
from tasks.files.ndrive import Listing, inside, listing_hash, look_into
from track.records import sessions
from track.schema.database import transact

log = logging.getLogger(__name__)


class NothingToTake(FileError):
    """The folder holds no file that could become a specimen."""

    remedy = "put metadata and images into it, side by side"


async def register_folder(
    engine: AsyncEngine,
    drive: NDrive,
    folder: Path,
    *,
    actor: str,
    listing: Listing | None = None,
) -> UUID | None:
    """Open the session of a folder anywhere on the drive, as it lies there now.

    None when this very listing is known already. Raises OutsideDrive, SourceVanished,
    PermissionDenied, DeviceFault or NothingToTake.
    """
    path, workstation = await MOUNTS.run(folder.parent, _located, drive.root, folder)
    if not is_readable_name(str(path)):
        raise NothingToTake(Path(repr(str(path))), "its name is no valid text", "rename it")
    seen = listing or await look_into(path, drive.root)
    if not seen.items:
        raise NothingToTake(path, "it holds no metadata and no image")
    fields = {
        "path": str(path),
        "workstation": workstation,
        "listing_hash": listing_hash(seen),
        "actor": actor,
    }
    opened = await transact(engine, sessions.open_session, **fields)
    if opened is None:
        log.info("%s is known already, exactly as it lies there", path)
    else:
        about = {"session": opened}
        log.info("session opened: %s, %d specimens", path, len(seen.items), extra=about)
    return opened


async def is_known(engine: AsyncEngine, drive: NDrive, folder: Path, content: str) -> bool:
    """Whether a session of the folder with this hash of its listing was opened.

    Raises OutsideDrive, a FileError, NotAnswering, or what the database raises.
    """
    path, _ = await MOUNTS.run(folder.parent, _located, drive.root, folder)
    found = {"path": str(path), "listing_hash": content}
    return await transact(engine, sessions.is_known, **found)


def _located(_: Pulse, root: Path, folder: Path) -> tuple[Path, str]:
    """(where a folder lies, its workstation: the folder right below the root, or `unknown`).

    Links on the way are checked and kept: a workstation is known by the name it has here.
    """
    resolved, base = inside(root, folder), root.resolve()
    relative = resolved.relative_to(base) if folder.is_absolute() else folder
    for top in (root, base):
        if folder.is_relative_to(top):
            relative = folder.relative_to(top)
    parts = relative.parts
    return base / relative, parts[0] if len(parts) > 1 else "unknown"
