"""What a run will do, as the page says it before anything is changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from schemas.digitisation import DeleteAfter
from workstation.journal.records import FINISHED, FileState, JournalFile, JournalSession
from workstation.session.choices import Choices
from workstation.session.planning import FileKind, FolderPlan

_SAFE = frozenset({FileState.CONFIRMED, FileState.DELETED, FileState.KEPT})
_GONE = FINISHED


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file: what it is called now, or was, and the name it gets."""

    kind: FileKind
    original_name: str
    new_name: str
    size_bytes: int
    is_sent: bool
    is_safe: bool = False
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class SessionEffects:
    """What becomes of a session's files. `begun`: it goes on with one that was begun before."""

    folder: Path
    name: str
    workstation: str
    choices: Choices
    delete_after: DeleteAfter
    specimens: int
    files: tuple[NamedFile, ...]
    begun: bool

    @property
    def to_be_sent(self) -> tuple[NamedFile, ...]:
        """The files that the server does not have yet."""
        return tuple(each for each in self.files if each.is_sent and not each.is_safe)

    @property
    def safe(self) -> tuple[NamedFile, ...]:
        """The files whose checksum the server has confirmed."""
        return tuple(each for each in self.files if each.is_sent and each.is_safe)

    @property
    def to_be_deleted(self) -> tuple[NamedFile, ...]:
        """Every file that is still in the folder, raws too."""
        return tuple(each for each in self.files if not each.is_gone)

    @property
    def raws(self) -> tuple[NamedFile, ...]:
        """The raw files among those."""
        return tuple(each for each in self.to_be_deleted if each.kind == "raw")

    @property
    def raws_uploaded(self) -> bool:
        """Whether every raw that will be deleted is sent as well."""
        return all(each.is_sent for each in self.raws)

    @property
    def pictures(self) -> tuple[NamedFile, ...]:
        """What had a name before: images and raws, not the metadata."""
        return tuple(each for each in self.files if each.kind != "metadata")


def total_bytes(files: Iterable[NamedFile]) -> int:
    """The bytes of all of them."""
    return sum(each.size_bytes for each in files)


def effects_of_plan(plan: FolderPlan) -> SessionEffects:
    """What carrying out a plan does."""
    session = plan.session
    files = tuple(
        NamedFile(each.kind, each.original_name, each.new_name, each.facts.size_bytes, each.is_sent)
        for specimen in plan.specimens
        for each in specimen.files
    )
    return SessionEffects(
        folder=plan.folder,
        name=session.name,
        workstation=session.values.workstation,
        choices=session.choices,
        delete_after=session.values.delete_after,
        specimens=len(plan.specimens),
        files=files,
        begun=False,
    )


def effects_of_session(session: JournalSession, files: Iterable[JournalFile]) -> SessionEffects:
    """What going on with a session does that was begun before."""
    named = [_named(each) for each in files]
    return SessionEffects(
        folder=session.folder,
        name=session.name,
        workstation=session.workstation,
        choices=session.choices,
        delete_after=session.delete_after,
        specimens=sum(each.kind == "metadata" for each in named),
        files=tuple(named),
        begun=True,
    )


def _named(file: JournalFile) -> NamedFile:
    return NamedFile(
        file.kind,
        file.original_name,
        file.new_name,
        file.size_bytes,
        file.is_sent,
        is_safe=file.state in _SAFE,
        is_gone=file.state in _GONE,
    )
