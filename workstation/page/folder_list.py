"""Which folders are offered to be picked: those below places where sessions were before."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from workstation.problems import FileGone, NoAccess, WorkstationError, translated

MAX_FOLDERS = 300
"""Sub-folders that are listed of one folder, those changed last."""

MAX_PLACES = 12


class OutsidePlaces(WorkstationError):
    """A folder that lies below none of the places that are offered."""

    remedy = "type its whole path instead"


class NoFolder(WorkstationError):
    """What was typed is no folder."""

    remedy = "type the whole path of the folder that holds the images of one session"


@dataclass(frozen=True, slots=True)
class ListedFolder:
    """A folder, and whether there are others in it."""

    path: Path
    changed_at: float


def offered_places(session_folders: Iterable[Path]) -> list[Path]:
    """Where to begin: the folders that sessions lay in before, then the user's pictures and home.

    `session_folders`: of former sessions, the newest first.
    """
    usual = (platformdirs.user_pictures_path(), Path.home())
    found: dict[str, Path] = {}
    for place in (*(folder.parent for folder in session_folders), *usual):
        # A drive's own top is a place only where a session lay right in it.
        if place.is_dir():
            found.setdefault(os.path.normcase(os.path.realpath(place)), place)
    return list(found.values())[:MAX_PLACES]


def sub_folders(folder: Path, places: Iterable[Path]) -> list[ListedFolder]:
    """The folders in `folder`, those changed last first; hidden ones and links are left out.

    Raises OutsidePlaces unless it lies below one of the places, another WorkstationError when it
    cannot be read.
    """
    if place_of(folder, places) is None:
        raise OutsidePlaces(folder, "it does not lie in a folder that is offered here")
    try:
        found = list(_listed(folder))
    except OSError as error:
        raise translated(error, folder) from error
    return sorted(found, key=lambda each: -each.changed_at)[:MAX_FOLDERS]


def place_of(folder: Path, places: Iterable[Path]) -> Path | None:
    """The first place that the folder lies below, or is; links in its path are followed."""
    real = Path(os.path.realpath(folder))
    return next((each for each in places if real.is_relative_to(os.path.realpath(each))), None)


def typed_folder(text: str) -> Path:
    """The folder that somebody typed or pasted, in quotes or not. Raises WorkstationError."""
    plain = text.strip().strip('"').strip()
    folder = Path(os.path.expanduser(plain))
    if not plain or "\0" in plain or not folder.is_absolute():
        raise NoFolder(folder, "it is no whole path")
    folder = Path(os.path.normpath(folder))
    try:
        if not folder.is_dir():
            raise FileGone(folder, "there is no such folder")
        with os.scandir(folder):
            return folder
    except PermissionError as error:
        raise NoAccess(folder, "it may not be read") from error
    except OSError as error:
        raise translated(error, folder) from error


def _listed(folder: Path) -> Iterator[ListedFolder]:
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.name.startswith((".", "$")) or not entry.is_dir(follow_symlinks=False):
                    continue
                yield ListedFolder(Path(entry.path), entry.stat(follow_symlinks=False).st_mtime)
            except OSError:
                continue  # it went away, or may not be looked at: it is not offered
