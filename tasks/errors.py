"""What can go wrong with a file: the reason, and what a person has to do.

Errors of the operating system are translated here, once.
"""

import errno
from pathlib import Path

from schemas.quarantine import QuarantineEntry

GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ELOOP})
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class FileError(Exception):
    """A file could not be used. `may_retry`: the same call may work later, unaided."""

    may_retry = False
    remedy = "look at the file"

    def __init__(self, file: Path, reason: str, remedy: str | None = None) -> None:
        self.file = file
        self.reason = reason
        if remedy is not None:
            self.remedy = remedy
        super().__init__(f"{file}: {reason}; {self.remedy}")

    def __reduce__(self) -> tuple[type["FileError"], tuple[Path, str, str]]:
        return type(self), (self.file, self.reason, self.remedy)


class Quarantined(Exception):
    """The specimen's files cannot be taken in: file, problem and remedy, for a person."""

    def __init__(self, file: str, problem: str, remedy: str) -> None:
        super().__init__(file, problem, remedy)
        self.file, self.problem, self.remedy = file, problem, remedy

    @property
    def entry(self) -> QuarantineEntry:
        """The three as they are stored and written into the folder's note."""
        return QuarantineEntry(self.file, self.problem, self.remedy)

    def __str__(self) -> str:
        return str(self.entry)


class SourceVanished(FileError):
    """The file to be read is not there, or no longer."""

    remedy = "check that the drive is mounted; if the file was removed, drop the folder again"
    may_retry = True


class SourceChanged(FileError):
    """The file was written to while it was read."""

    remedy = "wait until whoever writes it has finished; it is read again"
    may_retry = True


class DiskFull(FileError):
    """There is no room, or no quota, for the file."""

    remedy = "free space on that disk, or let prune run; then resubmit"
    may_retry = True


class PermissionDenied(FileError):
    """The account the refinery runs as may not do this."""

    remedy = "give the account that runs the refinery access to it"


class ChecksumMismatch(FileError):
    """What was read is not what was announced, or what was written is not what was read."""

    remedy = "send the file again from the workstation"


class DifferentContent(FileError):
    """Another content already lies under the name the file should get."""

    remedy = "find out which of the two is right and move the other away; nothing was overwritten"


class AskedAPerson(FileError):
    """A person has to say whether the file is right; until then its asset is held."""

    remedy = "copy it again, or clear the attention if it is right"
    may_retry = True


class TooLarge(FileError):
    """A file is far larger than what it is taken for."""

    remedy = "look at what wrote it, and drop a right one"


class CopyUnderWay(FileError):
    """Another process is writing the same destination now."""

    remedy = "wait for it to end; the copy is tried again"
    may_retry = True


class CopyStopped(FileError):
    """Whoever asked for the copy was cancelled; nothing was kept."""

    remedy = "resubmit when it is wanted again"
    may_retry = True


class DeviceFault(FileError):
    """The disk or the network mount answered with a fault of its own."""

    remedy = "check the mount and the disk; it is tried again"
    may_retry = True


def named(error: OSError, file: Path, *, reading: bool) -> FileError:
    """The error of ours for an OSError on `file`."""
    reason = error.strerror or str(error)
    if error.errno in GONE and reading:
        return SourceVanished(file, f"it cannot be found ({reason})")
    if error.errno in FULL:
        return DiskFull(file, f"it cannot be written ({reason})")
    if error.errno in DENIED:
        verb = "read" if reading else "written"
        return PermissionDenied(file, f"it may not be {verb} ({reason})")
    return DeviceFault(file, f"the system reports: {reason}")
