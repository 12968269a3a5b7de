"""Deletes from the workstation what the server has confirmed, and raws that a person gave up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from workstation.files import FileChanged, size_and_time
from workstation.ingest.renaming import check_unchanged
from workstation.journal.journal import SessionJournal
from workstation.journal.records import FINISHED, FileState, JournalFile, JournalSession
from workstation.problems import FileGone, FileProblem, WorkstationError, translated
from workstation.watching import StopSign, Watcher


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is about to be deleted: what was sent and confirmed, and raws.

    Whoever is asked decides on raws that are not uploaded, which are then gone for ever; declined,
    they are kept. What was sent is deleted by the rule of the session.
    """

    sent: tuple[Path, ...]
    raws: tuple[Path, ...]
    raws_uploaded: bool
    raws_bytes: int = 0


def deletable(files: Iterable[JournalFile]) -> list[JournalFile]:
    """The files of specimens of which all that is sent is confirmed, and that are still there."""
    every = list(files)
    unconfirmed = {
        file.guid
        for file in every
        if file.is_sent and file.state not in FINISHED | {FileState.CONFIRMED}
    }
    return [file for file in every if file.guid not in unconfirmed and file.state not in FINISHED]


def deletion_of(folder: Path, files: Sequence[JournalFile]) -> Deletion:
    """What deleting these would mean, as a person is asked about it."""
    raws = [file for file in files if file.kind == "raw"]
    return Deletion(
        sent=tuple(folder / file.new_name for file in files if file.kind != "raw"),
        raws=tuple(folder / file.new_name for file in raws),
        raws_uploaded=all(file.is_sent for file in raws),
        raws_bytes=sum(file.size_bytes for file in raws),
    )


class FileRemover:
    """Deletes files of one session. `kept`: those that it left, and why."""

    def __init__(
        self, journal: SessionJournal, session: JournalSession, watcher: Watcher, stop: StopSign
    ) -> None:
        self._journal, self._session = journal, session
        self._watcher, self._stop = watcher, stop
        self.kept: list[FileProblem] = []
        self.failed: list[WorkstationError] = []

    def remove(self, folder: Path, files: Iterable[JournalFile]) -> None:
        """Delete each that is still the one that was sent, or was there as a raw.

        One that cannot be deleted just now is in `failed`. Raises IngestStopped, JournalUnusable;
        FileGone when the folder is not there, as of a drive that was taken out.
        """
        if size_and_time(folder) is None:
            raise FileGone(folder, "the folder is not there")
        for file in files:
            self._stop.check()
            try:
                self._remove_one(folder, file)
            except WorkstationError as error:
                if error.file != folder / file.new_name:
                    raise
                self.failed.append(error)
            self._watcher.moves(file.new_name, file.size_bytes, file.size_bytes)
            self._watcher.ends(file.new_name)

    def keep(self, folder: Path, files: Iterable[JournalFile], why: str) -> None:
        """Leave these where they are, for good."""
        left = list(files)
        self._journal.move(left, FileState.KEPT)
        for file in left:
            self.kept.append(FileProblem(folder / file.new_name, why, "", stops=False))

    def _remove_one(self, folder: Path, file: JournalFile) -> None:
        path = folder / file.new_name
        try:
            check_unchanged(folder, [file])
        except FileChanged as error:
            self.keep(folder, [file], error.what)
            return
        except FileGone:
            # Deleted when the client was killed, before the journal knew; or by a person.
            self._journal.move([file], FileState.DELETED)
            return
        try:
            path.unlink()
        except OSError as error:
            raise translated(error, path) from error
        self._journal.move([file], FileState.DELETED)
