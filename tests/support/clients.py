"""A workstation's client as the command runs it, without its questions, and what it leaves."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.camera import CHOICES, VALUES
from workstation.ingest.ingesting import Ingestion, IngestOptions
from workstation.ingest.removal import Deletion
from workstation.ingest.report import IngestReport
from workstation.journal.folder_lock import locked_folder
from workstation.journal.journal import SessionJournal
from workstation.journal.records import FileState, JournalFile, JournalSession
from workstation.places import Places, folder_key
from workstation.server.calls import Server
from workstation.watching import IngestPhase


def sha256(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass
class Seen:
    """A watcher that keeps what it is told, and may do something at it."""

    phases: list[IngestPhase] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    on_begin: dict[IngestPhase, Callable[[], object]] = field(default_factory=dict)
    on_move: Callable[[str, int, int], object] = lambda *_: None
    on_note: Callable[[str], object] = lambda _: None

    def begins(self, phase: IngestPhase, files: int, size_bytes: int) -> None:
        self.phases.append(phase)
        if (work := self.on_begin.pop(phase, None)) is not None:
            work()

    def moves(self, file: str, done_bytes: int, size_bytes: int) -> None:
        self.on_move(file, done_bytes, size_bytes)

    def ends(self, file: str) -> None:
        self.ended.append(file)

    def notes(self, text: str) -> None:
        self.texts.append(text)
        self.on_note(text)


def options(**given: Any) -> IngestOptions:
    """How the tests' folders are ingested, unless said otherwise."""
    usual: dict[str, Any] = {"upload_raw": False, "delete_after": "confirmed"}
    return IngestOptions(**usual | given)


@dataclass
class Client:
    """The client of one workstation, whose folder is `folder`."""

    root: Path
    url: str
    user: str = "Åse"
    password: str = "a long password"
    workstation: str = VALUES.workstation
    seen: Seen = field(default_factory=Seen)
    asked: list[Deletion] = field(default_factory=list)
    running: Ingestion | None = None
    own_folder: Path | None = None

    @property
    def folder(self) -> Path:
        """The digitiser's folder."""
        return self.own_folder or self.root / "Ærø mappe"

    @property
    def places(self) -> Places:
        """Where the client keeps its state."""
        return Places(self.root / "state")

    def ingest(self, *, agree: bool = True, **given: Any) -> IngestReport:
        """Do all that the command does: log in, plan or go on, run."""

        def asked(deletion: Deletion) -> bool:
            self.asked.append(deletion)
            return agree

        folder, places = self.folder, self.places
        with (
            locked_folder(places.locks, folder_key(folder)),
            SessionJournal(places.journal) as journal,
            Server(self.url) as server,
        ):
            server.log_in(self.user, self.password)
            run = Ingestion(places, server, journal, options(**given), self.seen)
            self.running = run
            plan = None
            if run.unfinished(folder) is None:
                plan = run.plan(folder, CHOICES, server.values(self.workstation))
                assert not plan.stops, plan.problems
            return run.run(folder, plan, asked)

    def sessions(self) -> list[JournalSession]:
        """The sessions in the journal, the newest first."""
        with SessionJournal(self.places.journal) as journal:
            return journal.sessions()

    def files(self) -> list[JournalFile]:
        """The files of the newest session in the journal."""
        with SessionJournal(self.places.journal) as journal:
            found = journal.sessions(1)
            return journal.files(found[0].id) if found else []

    def local(self) -> dict[str, str]:
        """The SHA-256 of each file in the folder, by name."""
        return {path.name: sha256(path) for path in self.folder.iterdir()}


def on_drive(drive: Path, name: str = VALUES.workstation) -> dict[str, str]:
    """The SHA-256 of each file of a workstation on the drive, hidden ones too, by its path."""
    root = drive / name
    return {str(path.relative_to(root)): sha256(path) for path in root.rglob("*") if path.is_file()}


def assert_nothing_is_lost(client: Client, drive: Path) -> None:
    """What is confirmed is there as it was; what belongs to anything else is here as it was."""
    here, there = set(client.local().values()), set(on_drive(drive).values())
    files = client.files()
    done = (FileState.CONFIRMED, FileState.DELETED)
    unconfirmed = {file.guid for file in files if file.is_sent and file.state not in done}
    for file in files:
        if file.is_sent and file.state in done:
            assert file.sha256 in there, f"{file.new_name} is confirmed and not on the drive"
        is_written = file.kind != "metadata" or file.state != FileState.PLANNED
        if file.guid in unconfirmed and is_written:
            assert file.sha256 in here, f"{file.new_name} is deleted too early"


def assert_all_is_there(client: Client, drive: Path) -> None:
    """Every file of the newest session is on the drive once, complete, and nothing else is."""
    (session, *_) = client.sessions()
    sent = {file.new_name: file.sha256 for file in client.files() if file.is_sent}
    found = on_drive(drive, client.workstation)
    found.pop(f"{session.name}/.complete")
    assert found == {f"{session.name}/{name}": sum_ for name, sum_ in sent.items()}
