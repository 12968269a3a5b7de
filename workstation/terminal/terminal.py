"""`refinery ingest` at a terminal: who and where, what will be done, and its doing."""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from schemas.digitisation import ANY_WORKSTATION, DeleteAfter, Values
from schemas.uploads import Login
from workstation.ingest.ingesting import Ingestion, IngestOptions
from workstation.ingest.removal import Deletion
from workstation.ingest.report import IngestReport, size_text
from workstation.journal.folder_lock import locked_folder
from workstation.journal.journal import SessionJournal
from workstation.journal.records import FolderState, JournalSession
from workstation.places import Places, folder_key
from workstation.server.calls import Server, checked_address
from workstation.server.outbox import Outbox
from workstation.server.problem_report import Machine
from workstation.server.telling import ProblemTelling
from workstation.session.choices import RememberedChoices
from workstation.session.last_used import LastUsed
from workstation.session.planning import FolderPlan
from workstation.terminal.asking import Asker, NothingAnswered, plain
from workstation.terminal.bars import BarsWatcher, LinesWatcher
from workstation.terminal.choosing import GivenChoices, choose

PASSWORD_VARIABLE = "REFINERY_PASSWORD"


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """What the command line says of how it is done; None: as the server has it."""

    server: str = ""
    user: str = ""
    workstation: str = ""
    dry_run: bool = False
    yes: bool = False
    keep: bool = False
    without_failed: bool = False
    upload_raw: bool | None = None
    delete_after: DeleteAfter | None = None
    raw_required: bool = True
    at_once: int = 3


class Terminal:
    """One use of the command by the person at it."""

    def __init__(self, places: Places, given: GivenOptions) -> None:
        self._places, self._given = places, given
        self._is_asked = sys.stdin.isatty() and not given.yes
        self._asker = Asker(input, typer.echo)
        self._last = LastUsed.read(places.last_used)
        self._watcher: BarsWatcher | LinesWatcher = (
            BarsWatcher(Console()) if sys.stdout.isatty() else LinesWatcher(typer.echo)
        )

    def ingest(self, folder: Path, chosen: GivenChoices) -> IngestReport | None:
        """Take a folder's session to the server; None: nothing was to be done."""
        with self._journal_of(folder) as journal, self._logged_in() as (server, login):
            unfinished = journal.unfinished(folder)
            workstation = unfinished.workstation if unfinished else self._workstation(login)
            values = server.values(workstation)
            self._remember(server, login, workstation)
            run = self._ingestion(server, journal, values, login)
            if unfinished is not None:
                return self._go_on(run, unfinished)
            plan = self._plan(run, folder, chosen, values)
            return None if plan is None else self._run(run, folder, plan)

    def clean(self) -> list[IngestReport]:
        """Delete what waits for the archive, of every session of which it has specimens."""
        with SessionJournal(self._places.journal) as journal:
            waiting = [each for each in journal.sessions() if each.state == FolderState.SENT]
        reports: list[IngestReport] = []
        if not waiting:
            typer.echo("No session waits for the archive.")
            return reports
        with self._logged_in() as (server, login):
            for session in waiting:
                with self._journal_of(session.folder) as journal:
                    values = server.values(session.workstation)
                    run = self._ingestion(server, journal, values, login)
                    reports.append(self._run(run, session.folder, None))
        return reports

    def sessions(self) -> None:
        """Show where the workstation's sessions are."""
        with self._logged_in() as (server, login):
            workstation = self._workstation(login)
            found = server.sessions(workstation)
            if not found:
                typer.echo(f"{workstation} has sent no session yet")
            for each in found:
                state = "complete" if each.completed_at else "being sent"
                typer.echo(
                    f"{each.session}  {state}  {each.specimens} specimens: {each.received} "
                    f"received, {each.under_way} under way, {each.archived} archived, "
                    f"{each.needs_you} need you"
                )
                if each.needs_you:
                    for specimen in server.session(workstation, each.session).specimen_list:
                        if specimen.state == "needs_you":
                            typer.echo(f"    {specimen.guid}: {specimen.why}")

    @contextmanager
    def _journal_of(self, folder: Path) -> Iterator[SessionJournal]:
        """The journal, while no other client works on the folder."""
        with (
            locked_folder(self._places.locks, folder_key(folder)),
            SessionJournal(self._places.journal) as journal,
        ):
            yield journal

    @contextmanager
    def _logged_in(self) -> Iterator[tuple[Server, Login]]:
        """The server, logged in to."""
        address = self._given.server or self._last.server
        if not address:
            address = self._answer("Address of the server", "--server")
        user = plain(self._given.user or self._last.user)
        if not self._given.user and self._is_asked:
            user = self._asker.text("Name", self._last.user)
        if not user:
            raise NothingAnswered("give --user, the name you log in with")
        with Server(checked_address(address)) as server:
            login = server.log_in(user, _password(user))
            ProblemTelling(Outbox(self._places.outbox), Machine.this()).send(server)
            yield server, login

    def _answer(self, question: str, option: str) -> str:
        if not self._is_asked:
            raise NothingAnswered(f"give {option}")
        return self._asker.text(question)

    def _workstation(self, login: Login) -> str:
        """The workstation whose session it is."""
        if self._given.workstation:
            return self._given.workstation
        own = [each for each in login.workstations if each != ANY_WORKSTATION]
        if len(own) == 1 and len(login.workstations) == 1:
            return own[0]
        last = self._last.workstation
        if not self._is_asked:
            if last:
                return last
            raise NothingAnswered("give --workstation")
        if ANY_WORKSTATION in login.workstations:
            return self._asker.text("Workstation", last, own)
        return self._asker.choice("Workstation", own, last)

    def _remember(self, server: Server, login: Login, workstation: str) -> None:
        used = LastUsed(server=server.address, user=login.name, workstation=workstation)
        if used != self._last and not self._given.dry_run:
            used.write(self._places.last_used)

    def _ingestion(
        self, server: Server, journal: SessionJournal, values: Values, login: Login
    ) -> Ingestion:
        given = self._given
        options = IngestOptions(
            upload_raw=values.upload_raw if given.upload_raw is None else given.upload_raw,
            delete_after=given.delete_after or values.delete_after,
            raw_required=given.raw_required,
            at_once=given.at_once,
            keep=given.keep,
            without_failed=given.without_failed,
        )
        machine = Machine.this((login.name, *values.digitisers))
        return Ingestion(self._places, server, journal, options, self._watcher, machine)

    def _go_on(self, run: Ingestion, session: JournalSession) -> IngestReport | None:
        typer.echo(f"Going on with session {session.name} of this folder.")
        if self._given.dry_run:
            return None
        return self._run(run, session.folder, None)

    def _plan(
        self, run: Ingestion, folder: Path, chosen: GivenChoices, values: Values
    ) -> FolderPlan | None:
        """The plan, if it can be carried out and somebody wants it to be."""
        remembered = RememberedChoices(self._places.choices)
        asker = self._asker if self._is_asked else None
        choices = choose(chosen, remembered.of(values.workstation), values, asker)
        plan = run.plan(folder, choices, values)
        self._watcher.rest()
        _show(plan, every=self._given.dry_run)
        if plan.stops:
            raise FolderNotReady(plan)
        if self._given.dry_run:
            typer.echo("Nothing was changed: this was a dry run.")
            return None
        remembered.remember(values.workstation, choices)
        if self._is_asked and not self._asker.yes("Rename and send these?"):
            typer.echo("Nothing was changed.")
            return None
        return plan

    def _run(self, run: Ingestion, folder: Path, plan: FolderPlan | None) -> IngestReport:
        try:
            report = run.run(folder, plan, self._agrees)
        finally:
            self._watcher.rest()
        typer.echo(report.text())
        return report

    def _agrees(self, deletion: Deletion) -> bool:
        """Whether raws that are not uploaded may be deleted."""
        self._watcher.rest()
        typer.echo(
            "The raw files are NOT uploaded; deleting them now is for ever: "
            f"{len(deletion.raws)} raws, {size_text(deletion.raws_bytes)}."
        )
        if self._given.yes:
            return True
        if not self._is_asked:
            typer.echo("Nobody is there to agree: they are kept. With --yes they are deleted.")
            return False
        return self._asker.yes("Delete the raw files? Otherwise they are kept.")


class FolderNotReady(Exception):
    """A folder has problems that come first; they were shown."""

    def __init__(self, plan: FolderPlan) -> None:
        count = sum(problem.stops for problem in plan.problems)
        super().__init__(f"{count} problems have to be put right first; nothing was changed")


def _password(user: str) -> str:
    """The password from the environment, from whoever is asked, or the first line of input."""
    if given := os.environ.get(PASSWORD_VARIABLE):
        return given
    if sys.stdin.isatty():
        return getpass.getpass(f"Password of {user}: ")
    if line := sys.stdin.readline().rstrip("\r\n"):
        return line
    raise NothingAnswered(f"give the password in {PASSWORD_VARIABLE} or as a line of input")


def _show(plan: FolderPlan, *, every: bool) -> None:
    """What a plan would do, and what is wrong."""
    for problem in plan.problems:
        typer.echo(f"{'Problem' if problem.stops else 'Note'}: {problem}")
    files = [file for each in plan.specimens for file in each.files]
    sent = [file for file in files if file.is_sent]
    size = size_text(sum(file.facts.size_bytes for file in sent))
    typer.echo(f"{len(plan.specimens)} specimens; {len(sent)} files to send, {size}")
    unsent = [file for file in files if not file.is_sent]
    if unsent:
        size = size_text(sum(file.facts.size_bytes for file in unsent))
        typer.echo(f"{len(unsent)} raw files are not uploaded, {size}")
    if every:
        for file in files:
            typer.echo(f"  {file.original_name or '(metadata)'} -> {file.new_name}")
