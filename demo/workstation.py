"""The road's beginning: a camera's folder at a workstation, sent by the client to the upload API.

For as long as it is sent there is a user who may send; then nobody is there whom you did not add.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from blocks.access.passwords import Passwords
from blocks.access.users import LocalUser, Role, UsersFile
from demo.specimens.sessions import DIGITISER, Expectation, with_guids, write_camera_folder
from refinery.addresses import Addresses
from refinery.settings import Settings
from schemas.digitisation import ANY_WORKSTATION, Values
from workstation.ingest.ingesting import Ingestion, IngestOptions
from workstation.ingest.report import IngestResult
from workstation.journal.folder_lock import locked_folder
from workstation.journal.journal import SessionJournal
from workstation.places import Places, folder_key
from workstation.server.calls import Server
from workstation.session.choices import Choices
from workstation.watching import IngestPhase

NAME = "demonstration"

Say = Callable[[str], None]


class NotSent(RuntimeError):
    """The workstation's session did not reach the server; the message says why."""


DOES = {
    IngestPhase.SCAN: "the client looks at every file",
    IngestPhase.RENAME: "it names the files by guids, and writes their metadata",
    IngestPhase.SEND: "it sends images and metadata, several at once",
    IngestPhase.CONFIRM: "the server reads back from the N-Drive what it stored",
    IngestPhase.END: "the session is complete: now the watch may see it",
    IngestPhase.DELETE: "what is confirmed is deleted at the workstation",
}
"""What each phase does, for who looks on."""


class Narrator:
    """Tells of each phase in a line."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._told: set[IngestPhase] = set()

    def begins(self, phase: IngestPhase, files: int, size_bytes: int) -> None:
        """Tell of a phase that was not told of before."""
        if phase not in self._told:
            self._told.add(phase)
            self._say(f"  {DOES[phase]}")

    def moves(self, file: str, done_bytes: int, size_bytes: int) -> None:
        """Too much to tell."""

    def ends(self, file: str) -> None:
        """Too much to tell."""

    def notes(self, text: str) -> None:
        """Tell what a person is to read."""
        self._say(f"  {text}")


def send_from_workstation(
    settings: Settings, addresses: Addresses, say: Say
) -> tuple[Path, Mapping[str, Expectation]]:
    """Send a camera's folder; its session on the N-Drive, and what must become of it.

    Raises NotSent.
    """
    workstation = settings.workstations[0]
    with TemporaryDirectory(prefix="refinery-camera-") as scratch, somebody(settings) as password:
        folder = Path(scratch) / "a finished session"
        folder.mkdir()
        now = datetime.now().astimezone()
        expected = write_camera_folder(
            folder, workstation=workstation, now=now, seed=int(now.timestamp())
        )
        say(f"a camera left {len(expected)} specimens, each a raw and a converted image")
        with Server(addresses.workstations) as server:
            server.log_in(NAME, password)
            session, guids = _ingested(server, workstation, folder, Path(scratch), say)
        return settings.n_drive / workstation / session, with_guids(expected, guids)


def _ingested(
    server: Server, workstation: str, folder: Path, scratch: Path, say: Say
) -> tuple[str, dict[str, str]]:
    """Have the client ingest the folder; the session's name, and the guid of each base name."""
    places = Places(scratch / "client")
    values = server.values(workstation)
    options = IngestOptions(upload_raw=False, delete_after="confirmed")
    with (
        locked_folder(places.locks, folder_key(folder)),
        SessionJournal(places.journal) as journal,
    ):
        run = Ingestion(places, server, journal, options, Narrator(say))
        plan = run.plan(folder, _choices(values), values)
        if plan.stops:
            raise NotSent("; ".join(str(problem) for problem in plan.problems))
        report = run.run(folder, plan, lambda _: True)
        if report.result is not IngestResult.DONE:
            raise NotSent(report.text())
        left = sorted(path.name for path in folder.iterdir())
        say(
            f"  {report.confirmed} files are confirmed, {len(report.deleted_raws)} raws were not "
            f"uploaded and are gone, at the workstation is left: {', '.join(left) or 'nothing'}"
        )
        return report.session, {each.stem: each.guid for each in plan.specimens}


def _choices(values: Values) -> Choices:
    collection = values.collections[0]
    return Choices(
        institution=values.institution,
        collection=collection.name,
        preparation_type=collection.preparation_types[0],
        pipeline=collection.pipelines[0],
        funding=values.funding[:1],
        digitiser=DIGITISER,
        payload_type=values.payload_types[0],
    )


@contextmanager
def somebody(settings: Settings) -> Iterator[str]:
    """A user who may send for every workstation, for a while; the password."""
    users, password = UsersFile(settings.users_file), secrets.token_urlsafe(12)
    hashed = Passwords().hashed(password)
    if users.find(NAME):
        users.remove(NAME)
    may = (ANY_WORKSTATION,)
    users.add(LocalUser(name=NAME, role=Role.READER, password=hashed, workstations=may))
    try:
        yield password
    finally:
        users.remove(NAME)
