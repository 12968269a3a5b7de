"""How a session ends: all of its files are stored, then the watch sees its folder."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial

from api.workstations.context import UploadContext
from api.workstations.folders import SessionFolder, complete
from track.records import uploads


@dataclass(frozen=True)
class OwnSession:
    """A session of a workstation, and who ends it."""

    workstation: str
    session: str
    by: str


async def complete_session(here: UploadContext, own: OwnSession, files: Mapping[str, str]) -> None:
    """End a session that has these files, by name their SHA-256; again it changes nothing.

    Raises UploadRefused, NotStored, and KeyError for a session of which nothing was begun.
    """
    folder = here.drive.session(own.workstation, own.session)
    close = partial(_close, here, folder, asdict(own))
    await here.transact(uploads.complete, own.workstation, own.session, files, close)


async def _close(
    here: UploadContext, folder: SessionFolder, about: dict[str, str], names: list[str]
) -> None:
    await here.drive.run(complete, folder, names, about)
