"""A session's way from its folder to the server, and off the workstation, whatever comes between.

The caller holds the folder's lock (`workstation.journal.folder_lock`) while it plans and runs.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from schemas.digitisation import DeleteAfter, Values
from schemas.problems import ProblemStep
from schemas.uploads import RefusalCode
from workstation.ingest.removal import Deletion, FileRemover, deletable, deletion_of
from workstation.ingest.renaming import rename_files
from workstation.ingest.report import IngestReport, report_of, save_report
from workstation.ingest.scan_progress import adding_pieces, camera_sizes
from workstation.ingest.sending import FalseConfirmation, FileSender, sent_file
from workstation.journal.journal import SessionJournal
from workstation.journal.records import (
    FINISHED,
    FileState,
    FolderState,
    JournalFile,
    JournalSession,
    JournalUnusable,
    PlanRefused,
)
from workstation.places import Places, long_path
from workstation.problems import FileProblem, WorkstationError
from workstation.server.calls import Server
from workstation.server.errors import LoginNeeded, ServerProblem, ServerRefused
from workstation.server.outbox import Outbox
from workstation.server.patience import GIVE_UP_AFTER_S, Patience, ServerStaysAway
from workstation.server.problem_report import Machine
from workstation.server.telling import ProblemTelling
from workstation.session.choices import Choices
from workstation.session.folders import LONGEST_NAME, find_specimens
from workstation.session.planning import FolderPlan, plan_folder
from workstation.watching import IngestPhase, IngestStopped, StopSign, Watcher

Agree = Callable[[Deletion], bool]

KEPT_ON_REQUEST = "it was asked for that nothing is deleted"
RAW_KEPT = "it is not uploaded, and was to be kept"


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How folders are ingested. `keep`: delete nothing.

    `without_failed`: end sessions without the specimens that something is wrong with.

    `give_up_after_s`: seconds without anything moving after which a run ends, to be gone on with.
    """

    upload_raw: bool
    delete_after: DeleteAfter
    raw_required: bool = True
    at_once: int = 3
    keep: bool = False
    without_failed: bool = False
    give_up_after_s: float = GIVE_UP_AFTER_S


@dataclass
class _Met:
    """What a run met: for its report."""

    kept: list[FileProblem] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    why: str = ""
    needs_login: bool = False


class Ingestion:
    """One run over a folder; `stop` ends it from another thread, everything resumable."""

    def __init__(
        self,
        places: Places,
        server: Server,
        journal: SessionJournal,
        options: IngestOptions,
        watcher: Watcher,
        machine: Machine | None = None,
    ) -> None:
        self._places, self._server, self._journal = places, server, journal
        self._options, self._watcher = options, watcher
        self._machine = machine or Machine.this()
        self._telling = ProblemTelling(Outbox(places.outbox), self._machine)
        self._stop = StopSign()
        self._patience = Patience(watcher.notes, self._stop, options.give_up_after_s)

    def stop(self) -> None:
        """Have it come to rest soon."""
        self._stop.give()

    def unfinished(self, folder: Path) -> JournalSession | None:
        """The session of a folder that is to be gone on with."""
        return self._journal.unfinished(folder)

    def plan(self, folder: Path, choices: Choices, values: Values) -> FolderPlan:
        """What a run would do; nothing is written. Raises WorkstationError, WrongChoices."""
        decided = {
            "upload_raw": self._options.upload_raw,
            "delete_after": self._options.delete_after,
        }
        sizes = camera_sizes(folder)
        self._watcher.begins(IngestPhase.SCAN, len(sizes), sum(sizes.values()))
        scan = find_specimens(
            folder,
            raw_required=self._options.raw_required,
            left=self._journal.left_files(folder),
            progress=self._looked_at,
        )
        self._watcher.begins(IngestPhase.SCAN, len(sizes), sum(sizes.values()))
        return plan_folder(
            scan,
            choices,
            values.model_copy(update=decided),
            now=datetime.now(UTC),
            client=self._machine.client_version,
            is_taken=self._journal.has_guid,
            progress=adding_pieces(self._watcher, self._stop, sizes),
        )

    def _looked_at(self, path: Path, size_bytes: int) -> None:
        self._stop.check()
        self._watcher.moves(path.name, size_bytes, size_bytes)
        self._watcher.ends(path.name)

    def run(self, folder: Path, plan: FolderPlan | None, agree: Agree) -> IngestReport:
        """Carry out a plan, or go on with the folder's unfinished session: rename, send, delete.

        `agree` is asked once, before the first deletion, if raws are not uploaded. Whatever ends
        it early is in the report; only JournalUnusable and refusals of the plan are raised.
        """
        began = time.monotonic()
        session = self._begun(folder, plan)
        met = _Met()
        step: ProblemStep = "name"
        try:
            self._rename(session, met)
            step = "upload"
            if self._is_sent(session) or self._deliver(session, met):
                step = "delete"
                self._delete(session, agree, met)
        except (ServerProblem, IngestStopped, WorkstationError) as error:
            self._ended_by(error, step, session, met)
        return self._reported(session, met, time.monotonic() - began)

    def _begun(self, folder: Path, plan: FolderPlan | None) -> JournalSession:
        """The session in the journal, with everything that will be done."""
        if plan is not None:
            return self._journal.begin(plan, is_kept=self._options.keep)
        session = self._journal.unfinished(folder)
        if session is None:
            raise PlanRefused(folder, "it has no session to go on with")
        return session

    def _is_sent(self, session: JournalSession) -> bool:
        return self._journal.session(session.id).state == FolderState.SENT

    def _rename(self, session: JournalSession, met: _Met) -> None:
        if session.state != FolderState.PLANNED:
            return
        files = self._journal.files(session.id)
        self._watcher.begins(IngestPhase.RENAME, len(files), 0)

        def renamed(file: JournalFile) -> None:
            self._watcher.ends(file.new_name)
            self._stop.check()

        while True:
            try:
                rename_files(self._journal, session, renamed)
                return
            except WorkstationError as error:
                if not self._leave_out(session, [error], met):
                    raise

    def _deliver(self, session: JournalSession, met: _Met) -> bool:
        """Whether the server has the whole session, and said so of each file and of all."""
        sender = FileSender(
            self._server,
            self._journal,
            session,
            self._watcher,
            self._patience,
            self._options.at_once,
        )
        sender.deliver()
        for error in sender.failed.values():
            self._tell(error, session)
        if self._leave_out(session, sender.failed.values(), met):
            sender.failed.clear()
        if not sender.failed and (lacking := self._end(session)):
            sender.send_again(lacking)
            sender.deliver()
            if not sender.failed and (lacking := self._end(session)):
                text = f"the server says again that it lacks {', '.join(lacking[:5])}"
                raise ServerRefused(RefusalCode.SESSION_LACKS_FILES, text, status=409)
        met.problems += [error.problem for error in sender.failed.values()]
        return not sender.failed

    def _tell(self, error: WorkstationError, session: JournalSession) -> None:
        step: ProblemStep = "confirm" if isinstance(error, FalseConfirmation) else "upload"
        self._telling.keep(error, step, session.workstation)

    def _leave_out(
        self, session: JournalSession, errors: Iterable[WorkstationError], met: _Met
    ) -> bool:
        """Go on without the specimens of the files that these errors name, if that is wanted.

        Whether any were left out. What the server has of them is taken back first.
        """
        wrong = {error.file.name: error for error in errors}
        files = self._journal.files(session.id)
        guids = {
            file.guid: wrong[name]
            for file in files
            for name in (file.new_name, file.original_name)
            if name in wrong and file.state not in FINISHED
        }
        if not self._options.without_failed or not guids:
            return False
        for file in files:
            if file.guid in guids and file.upload_url:
                self._take_back(file)
        for guid, error in guids.items():
            self._journal.leave_out(session, guid)
            met.kept += [
                FileProblem(session.folder / file.new_name, error.what, error.remedy, stops=False)
                for file in files
                if file.guid == guid
            ]
        return True

    def _take_back(self, file: JournalFile) -> None:
        """Have the server forget a file; one that it does not have, or has for good, is left."""
        try:
            self._patience.until_done(lambda _: self._server.take_back(file.upload_url))
        except ServerRefused as error:
            if error.code not in (RefusalCode.UNKNOWN_UPLOAD, RefusalCode.SESSION_ENDED):
                raise

    def _end(self, session: JournalSession) -> tuple[str, ...]:
        """End the session at the server; the names of files that it lacks after all."""
        self._watcher.begins(IngestPhase.END, 0, 0)
        files = [
            sent_file(file)
            for file in self._journal.files(session.id)
            if file.is_sent and file.state != FileState.LEFT_OUT
        ]
        if not files:
            self._journal.move_session(session, FolderState.SENT)
            return ()
        try:
            self._patience.until_done(
                lambda _: self._server.end(session.workstation, session.name, files)
            )
        except ServerRefused as error:
            if error.code == RefusalCode.SESSION_LACKS_FILES and error.files:
                return error.files
            # Nothing of it was begun: all of its files had been stored by an earlier session.
            if error.code != RefusalCode.UNKNOWN_UPLOAD:
                raise
        self._journal.move_session(session, FolderState.SENT)
        return ()

    def _delete(self, session: JournalSession, agree: Agree, met: _Met) -> None:
        """Delete what may go, and end the session once each of its files is deleted or kept."""
        folder = long_path(session.folder, LONGEST_NAME)
        remover = FileRemover(self._journal, session, self._watcher, self._stop)
        files = deletable(self._journal.files(session.id))
        try:
            if self._options.keep or session.is_kept:
                remover.keep(folder, files, KEPT_ON_REQUEST)
            else:
                self._remove(remover, folder, self._may_go(session, files), agree)
        finally:
            met.kept += remover.kept
            met.problems += [error.problem for error in remover.failed]
        for error in remover.failed:
            self._telling.keep(error, "delete", session.workstation)
        if all(file.state in FINISHED for file in self._journal.files(session.id)):
            self._journal.end(session, datetime.now(UTC))

    def _may_go(self, session: JournalSession, files: list[JournalFile]) -> list[JournalFile]:
        """The files that the session's rule lets go by now."""
        if session.delete_after == "confirmed":
            return files
        detail = self._patience.until_done(
            lambda _: self._server.session(session.workstation, session.name)
        )
        archived = {each.guid for each in detail.specimen_list if each.state == "archived"}
        return [file for file in files if file.guid in archived]

    def _remove(
        self, remover: FileRemover, folder: Path, files: list[JournalFile], agree: Agree
    ) -> None:
        if not files:
            return
        deletion = deletion_of(folder, files)
        if deletion.raws and not deletion.raws_uploaded and not agree(deletion):
            remover.keep(folder, [file for file in files if not file.is_sent], RAW_KEPT)
            files = [file for file in files if file.is_sent]
        size_bytes = sum(file.size_bytes for file in files)
        self._watcher.begins(IngestPhase.DELETE, len(files), size_bytes)
        remover.remove(folder, files)

    def _ended_by(
        self,
        error: ServerProblem | IngestStopped | WorkstationError,
        step: ProblemStep,
        session: JournalSession,
        met: _Met,
    ) -> None:
        """Write down what ended the run early: it may be a problem, or only a matter of time."""
        if isinstance(error, JournalUnusable):
            raise error
        if isinstance(error, WorkstationError):
            met.problems.append(error.problem)
        elif isinstance(error, IngestStopped | LoginNeeded | ServerStaysAway):
            met.why, met.needs_login = str(error), isinstance(error, LoginNeeded)
        else:
            remedy = "show this to the server's people"
            met.problems.append(FileProblem(session.folder, error.text, remedy))
        if not isinstance(error, IngestStopped | LoginNeeded):
            self._telling.keep(error, step, session.workstation)

    def _reported(self, session: JournalSession, met: _Met, seconds: float) -> IngestReport:
        """The report of the session as it is now, kept on this machine."""
        if not met.needs_login:
            self._telling.send(self._server)
        report = report_of(
            self._journal.session(session.id),
            self._journal.files(session.id),
            server=self._server.address,
            seconds=seconds,
            kept=met.kept,
            problems=met.problems,
            why=met.why,
            needs_login=met.needs_login,
        )
        try:
            save_report(self._places.reports, report, datetime.now(UTC))
        except WorkstationError as error:
            self._watcher.notes(f"the report could not be kept: {error}")
        return report
