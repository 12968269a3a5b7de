"""What is wrong with a file, in words that a digitiser can act on.

Errors of the operating system are translated here, once.
"""

import errno
from dataclasses import dataclass
from pathlib import Path

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing that is wrong with a file, and what to do.

    `stops`: nothing of the folder is sent before it is put right; else it is only told.
    """

    file: Path
    what: str
    remedy: str
    stops: bool = True

    def __str__(self) -> str:
        return f"{self.file.name}: {self.what}; {self.remedy}"


class WorkstationError(Exception):
    """Something that the client cannot go on from: the file, what is wrong, and what to do."""

    remedy = "look at the file"

    def __init__(self, file: Path, what: str, remedy: str | None = None) -> None:
        self.file, self.what = file, what
        if remedy is not None:
            self.remedy = remedy
        super().__init__(f"{file}: {what}; {self.remedy}")

    @property
    def problem(self) -> FileProblem:
        """The same as one problem among others."""
        return FileProblem(self.file, self.what, self.remedy)


class FileGone(WorkstationError):
    """A file or folder that should be there is not."""

    remedy = "look whether it was moved or its drive was taken out, and put it back"


class NoRoomLeft(WorkstationError):
    """The disk, or the quota on it, is full."""

    remedy = "make room on that disk, then run the same command again: it goes on"


class NoAccess(WorkstationError):
    """The file may not be read or changed, or another program has it open."""

    remedy = "close the program that has it open, or ask for access to it, and try again"


class DeviceTrouble(WorkstationError):
    """The disk did not do what was asked of it."""

    remedy = "try again; if it stays so, have the disk looked at"


def translated(error: OSError, file: Path) -> WorkstationError:
    """The named error for what the operating system said of `file`."""
    if error.errno in _GONE:
        return FileGone(file, "it is not there")
    if error.errno in _FULL:
        return NoRoomLeft(file, "there is no room left on the disk")
    if error.errno in _DENIED:
        return NoAccess(file, f"it may not be used ({error.strerror or error})")
    return DeviceTrouble(file, f"the disk reports: {error.strerror or error}")
