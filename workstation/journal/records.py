"""What the journal says of a session and its files, and which steps there are."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from schemas.digitisation import DeleteAfter
from workstation.problems import WorkstationError
from workstation.session.choices import Choices
from workstation.session.planning import FileKind


class FileState(StrEnum):
    """How far a file is. `stored`: all of it was sent; `confirmed`: the server has its checksum.

    `left_out`: something is wrong with its specimen, and the session ended without it.
    """

    PLANNED = "planned"
    RENAMED = "renamed"
    STORED = "stored"
    CONFIRMED = "confirmed"
    DELETED = "deleted"
    KEPT = "kept"
    LEFT_OUT = "left_out"


class FolderState(StrEnum):
    """How far the session of a folder is. `sent`: the server has all of it, and said so."""

    PLANNED = "planned"
    RENAMED = "renamed"
    SENT = "sent"
    ENDED = "ended"


COMES_FROM: dict[FileState, tuple[FileState, ...]] = {
    FileState.RENAMED: (FileState.PLANNED, FileState.STORED, FileState.CONFIRMED),
    FileState.STORED: (FileState.RENAMED,),
    FileState.CONFIRMED: (FileState.STORED,),
    FileState.DELETED: (FileState.CONFIRMED,),
    FileState.KEPT: (FileState.CONFIRMED,),
}
"""What a file was before. Back to `renamed` goes what the server turned out not to have.

A raw that is not sent is kept straight from `renamed`, or deleted once its specimen is confirmed.
"""

FINISHED = frozenset({FileState.DELETED, FileState.KEPT, FileState.LEFT_OUT})


class JournalUnusable(WorkstationError):
    """The journal cannot be read or written; without it nothing is renamed, sent or deleted."""

    remedy = "make room on that disk and look that the file may be written; then try again"


class JournalMoveRefused(WorkstationError):
    """A step that would come too early, or twice."""

    remedy = "run the same command again: it looks at everything anew and goes on"


class SessionBegun(WorkstationError):
    """The folder has an unfinished session already."""

    remedy = "run the same command again: it goes on with that session"


class PlanRefused(WorkstationError):
    """A plan that has problems, or nothing in it, cannot be begun."""

    remedy = "put right what was named, then run the same command again"


@dataclass(frozen=True, slots=True)
class JournalSession:
    """A session of a folder, as the journal has it. `name` is its folder on the N-Drive.

    `delete_after` and `is_kept` (nothing is deleted): what was decided when it was begun.
    """

    id: int
    folder: Path
    workstation: str
    name: str
    choices: Choices
    delete_after: DeleteAfter
    is_kept: bool
    state: FolderState
    begun_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A file of a session. `mtime_ns` is nanoseconds since 1970; `doubt`: of its capture time.

    `is_sent`: it is to be uploaded; raws mostly are not.
    """

    id: int
    session_id: int
    stem: str
    guid: str
    kind: FileKind
    original_name: str
    new_name: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    captured_at: datetime
    doubt: str
    is_sent: bool
    state: FileState
    upload_url: str


def session_of(row: sqlite3.Row) -> JournalSession:
    """The session of a row of the database."""
    ended = row["ended_at"]
    return JournalSession(
        id=row["id"],
        folder=Path(row["folder"]),
        workstation=row["workstation"],
        name=row["name"],
        choices=Choices.model_validate_json(row["choices"]),
        delete_after=row["delete_after"],
        is_kept=bool(row["is_kept"]),
        state=FolderState(row["state"]),
        begun_at=datetime.fromisoformat(row["begun_at"]),
        ended_at=None if ended is None else datetime.fromisoformat(ended),
    )


def file_of(row: sqlite3.Row) -> JournalFile:
    """The file of a row of the database, whose columns are a JournalFile's fields."""
    found = dict(row) | {
        "captured_at": datetime.fromisoformat(row["captured_at"]),
        "is_sent": bool(row["is_sent"]),
        "state": FileState(row["state"]),
    }
    return JournalFile(**found)
