"""Where the client keeps its state, and how long paths are written for Windows."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath
from typing import TypeVar

import platformdirs

from workstation.problems import translated

LONGEST_PATH = 240
"""Characters of a path that every program on Windows can open; its own limit is 260."""

_EXTENDED = "\\\\?\\"

P = TypeVar("P", bound=PurePath)


@dataclass(frozen=True, slots=True)
class Places:
    """The files and folders of the client's state below `root`. Nothing is made by naming it."""

    root: Path

    @property
    def journal(self) -> Path:
        """The journal of sessions and their files, a SQLite database."""
        return self.root / "journal.sqlite"

    @property
    def choices(self) -> Path:
        """What was chosen last for each workstation, JSON."""
        return self.root / "choices.json"

    @property
    def last_used(self) -> Path:
        """Which server, name and workstation were given last, JSON."""
        return self.root / "last_used.json"

    @property
    def locks(self) -> Path:
        """The folder of the locks by which one client at a time works on a folder."""
        return self.root / "locks"

    @property
    def outbox(self) -> Path:
        """The folder of problems that wait to be sent."""
        return self.root / "outbox"

    @property
    def reports(self) -> Path:
        """The folder of the reports of ended sessions."""
        return self.root / "reports"


def usual_places() -> Places:
    """The places of the user who runs the client, where the operating system has them."""
    return Places(platformdirs.user_data_path("Specimen Refinery", appauthor=False))


def private_folder(folder: Path) -> Path:
    """Make `folder` if it is not there, for its owner only where the system knows owners.

    Raises WorkstationError when it cannot be made.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise translated(error, folder) from error
    return folder


def long_path(path: P, room: int = 0) -> P:
    """`path` as Windows opens it at any length, where it is a long one of Windows; else itself.

    `room` characters are kept for what will be added to it. The path is absolute and without
    `..`: Windows takes the long form literally.
    """
    text = str(path)
    short = len(text) + room <= LONGEST_PATH
    if not isinstance(path, PureWindowsPath) or short or text.startswith(_EXTENDED):
        return path
    if not path.is_absolute() or ".." in path.parts:
        return path
    share = text.startswith("\\\\")
    return type(path)(f"{_EXTENDED}UNC\\{text[2:]}" if share else _EXTENDED + text)


def folder_key(folder: Path) -> str:
    """What a folder is known by, however its path is written: links followed, one case."""
    text = os.path.normcase(os.path.realpath(folder))
    if text.startswith(_EXTENDED + "unc\\"):
        return "\\\\" + text[8:]
    return text.removeprefix(_EXTENDED)
