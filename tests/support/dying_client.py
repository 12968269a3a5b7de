"""The client that kills its process, as `kill -9` would, at a named moment."""

from pathlib import Path
from typing import Any

from tests.support.clients import Client
from tests.support.dying import after, die
from workstation.ingest import ingesting
from workstation.journal.journal import SessionJournal
from workstation.journal.records import FileState, FolderState
from workstation.server.calls import Server

MOMENTS = (
    "planned", "renaming", "renamed", "announced", "placed", "half", "sent", "stored",
    "read_back", "confirmed", "ended", "noted", "asked", "unlinked", "deleted", "closed",
)  # fmt: skip
"""In the order in which they come."""


class _DiesWhenAsked(list[Any]):
    """Where the question for the raws is put."""

    def append(self, _: Any) -> None:
        die()


def after_move(state: FileState) -> None:
    """Die once the journal has a file in that state."""
    real = SessionJournal.move

    def dying(self: SessionJournal, files: Any, to: FileState) -> None:
        real(self, files, to)
        if to == state:
            die()

    SessionJournal.move = dying  # type: ignore[method-assign]


def after_session_move(state: FolderState) -> None:
    """The same of a session."""
    real = SessionJournal.move_session

    def dying(self: SessionJournal, session: Any, to: FolderState) -> None:
        real(self, session, to)
        if to == state:
            die()

    SessionJournal.move_session = dying  # type: ignore[method-assign]


def arm(moment: str, client: Client) -> None:
    """Have this process die at a moment."""
    match moment:
        case "planned":
            after(SessionJournal, "begin")
        case "renaming":
            after(Path, "rename")
        case "renamed":
            after(ingesting, "rename_files")
        case "announced":  # the server has begun a file, and the journal does not know where
            after(Server, "begin_file")
        case "placed":
            after(SessionJournal, "set_upload")
        case "half":
            client.seen.on_move = lambda _, done, size: die() if 0 < done < size else None
        case "sent":
            after(Server, "send")
        case "stored":
            after_move(FileState.STORED)
        case "read_back":
            after(Server, "confirm")
        case "confirmed":
            after_move(FileState.CONFIRMED)
        case "ended":
            after(Server, "end")
        case "noted":  # the journal knows that the session ended at the server
            after_session_move(FolderState.SENT)
        case "asked":
            client.asked = _DiesWhenAsked()
        case "unlinked":
            after(Path, "unlink")
        case "deleted":
            after_move(FileState.DELETED)
        case "closed":
            after(SessionJournal, "end")
        case _:
            raise ValueError(moment)


def ingest(root: str, url: str, moment: str) -> None:
    """Ingest the folder until it dies."""
    client = Client(Path(root), url)
    arm(moment, client)
    client.ingest()
