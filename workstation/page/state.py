"""What the page knows: who is logged in, which folder was chosen, and how far its session is.

One person uses it at a time, in as many windows as they like; all of it is forgotten with the
process, but for what the journal and the remembered choices keep.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from schemas.digitisation import Values
from schemas.problems import ProblemStep
from schemas.uploads import Login
from workstation.files import Progress
from workstation.ingest.ingesting import Ingestion, IngestOptions
from workstation.ingest.report import IngestReport
from workstation.ingest.scan_progress import adding_pieces, camera_sizes
from workstation.journal.folder_lock import FolderInUse, locked_folder
from workstation.journal.journal import SessionJournal
from workstation.journal.records import JournalSession
from workstation.page.deleting import DeletionChoice, RawsQuestion
from workstation.page.effects import SessionEffects, effects_of_plan, effects_of_session
from workstation.page.progress import ShownProgress
from workstation.page.work import BackgroundWork, PieceOfWork
from workstation.places import Places, folder_key
from workstation.server.calls import Server
from workstation.server.outbox import Outbox
from workstation.server.problem_report import Machine
from workstation.server.telling import ProblemTelling
from workstation.session.choices import Choices, RememberedChoices
from workstation.session.folders import FolderScan, find_specimens
from workstation.session.last_used import LastUsed
from workstation.session.planning import FolderPlan, plan_folder
from workstation.watching import IngestStopped, Watcher


class StepMissing(Exception):
    """A step needs another one first, which is made at `path`."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)


MakeRun = Callable[[Places, Server, SessionJournal, IngestOptions, Watcher, Machine], Ingestion]


@dataclass
class PageState:
    """Everything that the pages share. `client` is the version of this program."""

    places: Places
    journal: SessionJournal
    address: str
    client: str
    connect: Callable[[str], Server] = Server
    make_run: MakeRun = Ingestion
    work: BackgroundWork = field(default_factory=BackgroundWork)
    server: Server | None = None
    login: Login | None = None
    user: str = ""
    workstation: str = ""
    values: Values | None = None
    folder: Path | None = None
    raw_required: bool = True
    looks: int = 0
    scan: FolderScan | None = None
    plan: FolderPlan | None = None
    question: RawsQuestion | None = None
    report: IngestReport | None = None
    _servers: list[Server] = field(default_factory=list)

    @property
    def remembered(self) -> RememberedChoices:
        """What was chosen last, by workstation."""
        return RememberedChoices(self.places.choices)

    def log_in(self, address: str, name: str, password: str) -> None:
        """Log in, and stay so until the server says otherwise. The password is not kept."""
        server = self.connect(address)
        try:
            login = server.log_in(name, password)
        except BaseException:
            server.close()
            raise
        # One of before is not closed yet: a run may be using it.
        self._servers.append(server)
        self.server, self.address, self.login = server, server.address, login
        self.user = login.name
        ProblemTelling(Outbox(self.places.outbox), self._machine()).send(server)

    def close(self) -> None:
        """Stop what is being done, wait until it has come to rest, and let go of the server."""
        self.work.stop()
        self.work.wait()
        for server in self._servers:
            server.close()

    def log_out(self) -> None:
        """Forget who is logged in."""
        self.server = self.login = None

    def needs_server(self) -> Server:
        """The server. Raises StepMissing while nobody is logged in."""
        if self.server is None:
            raise StepMissing("/login")
        return self.server

    def needs_folder(self) -> tuple[Path, Values]:
        """The folder and what its workstation chooses from. Raises StepMissing."""
        self.needs_server()
        if self.folder is None or self.values is None:
            raise StepMissing("/folder")
        return self.folder, self.values

    def needs_scan(self) -> FolderScan:
        """What was found in the folder. Raises StepMissing."""
        self.needs_folder()
        if self.scan is None:
            raise StepMissing("/look")
        return self.scan

    def choose(self, workstation: str, folder: Path, *, raw_required: bool) -> None:
        """Take a folder for a workstation; all that was known of another one is forgotten.

        A session that was begun of it stays with its workstation. Raises what the server refuses.
        """
        if (begun := self.journal.unfinished(folder)) is not None:
            workstation = begun.workstation
        server = self.needs_server()
        self.values = server.values(workstation)
        self.workstation, self.folder, self.raw_required = workstation, folder, raw_required
        self.scan = self.plan = self.question = self.report = None
        used = LastUsed(server=server.address, user=self.user, workstation=workstation)
        used.write(self.places.last_used)

    def unfinished(self) -> JournalSession | None:
        """The session that was begun of the chosen folder and has not ended."""
        return None if self.folder is None else self.journal.unfinished(self.folder)

    def look(self) -> None:
        """Begin to look at every file of the folder. Raises WorkUnderWay."""
        folder, _ = self.needs_folder()
        self.work.check_idle()
        self.scan = self.plan = None

        def do(work: PieceOfWork) -> None:
            sizes = camera_sizes(folder)
            work.progress.begins("scan", len(sizes), sum(sizes.values()))
            self.scan = find_specimens(
                folder,
                raw_required=self.raw_required,
                left=self.journal.left_files(folder),
                progress=_looked_at(work),
            )
            self.looks += 1

        self._start(PieceOfWork("look", ShownProgress()), "scan", do)

    def make_plan(self, choices: Choices) -> None:
        """Begin to plan the session, which reads every file once. Raises WorkUnderWay."""
        (_, values), scan = self.needs_folder(), self.needs_scan()
        self.work.check_idle()
        self.plan = None

        def do(work: PieceOfWork) -> None:
            sizes = {path.name: facts[0] for path, facts in scan.seen.items()}
            work.progress.begins("plan", len(sizes), sum(sizes.values()))
            for path, read in scan.read.items():
                _done(work.progress, path, read.size_bytes)
            self.plan = plan_folder(
                scan, choices, values, now=datetime.now(UTC), client=self.client,
                is_taken=self.journal.has_guid,
                progress=adding_pieces(work.progress, work.stop_sign, sizes),
            )  # fmt: skip

        self._start(PieceOfWork("plan", ShownProgress()), "read", do)

    def effects(self) -> SessionEffects:
        """What a run will do now. Raises StepMissing when nothing is planned or begun."""
        self.needs_folder()
        if (session := self.unfinished()) is not None:
            files = self.journal.files(session.id)
            return effects_of_session(session, files)
        if self.plan is None:
            raise StepMissing("/choices" if self.scan is not None else "/look")
        return effects_of_plan(self.plan)

    def start_run(self, choice: DeletionChoice) -> None:
        """Begin what the check page named, or go on with it. Raises WorkUnderWay."""
        server, (folder, values) = self.needs_server(), self.needs_folder()
        effects = self.effects()
        self.work.check_idle()
        question = RawsQuestion(choice, frozenset(each.new_name for each in effects.to_be_deleted))
        plan, progress = None if effects.begun else self.plan, ShownProgress()
        options = IngestOptions(
            upload_raw=values.upload_raw,
            delete_after=effects.delete_after,
            raw_required=self.raw_required,
            keep=choice == "keep",
        )
        machine = self._machine()
        run = self.make_run(self.places, server, self.journal, options, progress, machine)

        def do(work: PieceOfWork) -> None:
            self.report = run.run(folder, plan, question.agree)

        def halt() -> None:
            question.stop()
            run.stop()

        self.question, self.report, self.plan = question, None, None
        self._start(PieceOfWork("ingest", progress, halt), "other", do)

    def begin_anew(self) -> None:
        """Forget the folder; the login and the workstation stay."""
        self.folder = self.scan = self.plan = self.question = self.report = None

    def _start(
        self, work: PieceOfWork, step: ProblemStep, do: Callable[[PieceOfWork], None]
    ) -> None:
        """Begin work on the folder, alone; what it fails with is told to the server's people."""
        folder, _ = self.needs_folder()
        telling = ProblemTelling(Outbox(self.places.outbox), self._machine())

        def alone(work: PieceOfWork) -> None:
            try:
                with locked_folder(self.places.locks, folder_key(folder)):
                    do(work)
            except (IngestStopped, FolderInUse):
                raise
            except Exception as error:
                telling.keep(error, step, self.workstation)
                raise

        self.work.start(work, alone)

    def _machine(self) -> Machine:
        """This machine, with the names of people that are never told."""
        digitisers = self.values.digitisers if self.values else ()
        return Machine.this((self.login.name, *digitisers) if self.login else digitisers)


def _looked_at(work: PieceOfWork) -> Progress:
    """Is told of files that were looked at whole."""

    def looked_at(path: Path, size_bytes: int) -> None:
        work.stop_sign.check()
        _done(work.progress, path, size_bytes)

    return looked_at


def _done(progress: ShownProgress, path: Path, size_bytes: int) -> None:
    progress.moves(path.name, size_bytes, size_bytes)
    progress.ends(path.name)
