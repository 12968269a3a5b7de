"""Sends the files of a session, several at once, and has the server confirm each.

What was begun is gone on with, wherever it broke off: the journal knows each file's place on the
server before the first byte goes there.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from schemas.uploads import RefusalCode, SentFile, StoredFile
from workstation.ingest.reading_to_send import check_content, pieces_from
from workstation.ingest.renaming import check_unchanged
from workstation.journal.journal import SessionJournal
from workstation.journal.records import FileState, JournalFile, JournalSession
from workstation.places import long_path
from workstation.problems import WorkstationError
from workstation.server.calls import Server, UploadPlace
from workstation.server.errors import ServerAway, ServerRefused
from workstation.server.patience import Patience
from workstation.session.folders import LONGEST_NAME
from workstation.watching import IngestPhase, Watcher

TIMES = 2
"""How often a file is sent wholly that arrives as another, until that is a problem of it."""

_ARRIVED_WRONG = frozenset({RefusalCode.CHECKSUM_DIFFERS, RefusalCode.SIZE_DIFFERS})
_NOT_THERE = frozenset(
    {*_ARRIVED_WRONG, RefusalCode.UNKNOWN_UPLOAD, RefusalCode.WRONG_OFFSET}
)  # fmt: skip
_OF_ONE_FILE = frozenset(
    {
        *_ARRIVED_WRONG,
        RefusalCode.NAME_TAKEN,
        RefusalCode.BAD_NAME,
        RefusalCode.BAD_REQUEST,
        RefusalCode.TOO_LARGE,
    }
)
"""Refusals that say nothing of other files."""


class FileRefused(WorkstationError):
    """The server does not take a file."""

    remedy = "keep the file, and show this to the server's people"

    def __init__(self, file: Path, error: ServerRefused) -> None:
        super().__init__(file, error.text)
        self.code = error.code


class FalseConfirmation(WorkstationError):
    """What the server says it has stored is not the file that was sent."""

    remedy = "the file is kept and nothing is deleted; show this to the server's people"


def sent_file(file: JournalFile) -> SentFile:
    """A file as the server is told of it."""
    return SentFile(name=file.new_name, size_bytes=file.size_bytes, sha256=file.sha256)


class FileSender:
    """Sends the files of one session. `failed`: what is wrong with some, by their ids."""

    def __init__(
        self,
        server: Server,
        journal: SessionJournal,
        session: JournalSession,
        watcher: Watcher,
        patience: Patience,
        at_once: int,
    ) -> None:
        self._server, self._journal, self._session = server, journal, session
        self._watcher, self._patience, self._at_once = watcher, patience, at_once
        self._folder = long_path(session.folder, LONGEST_NAME)
        self._begun: Counter[int] = Counter()
        self.failed: dict[int, WorkstationError] = {}

    def deliver(self) -> None:
        """Have every file that is to be sent confirmed, but for those in `failed`.

        Raises ServerProblem or IngestStopped for what concerns all of them, JournalUnusable.
        """
        while waiting := self._in_state(FileState.RENAMED, FileState.STORED):
            to_send = [file for file in waiting if file.state == FileState.RENAMED]
            self._each(IngestPhase.SEND, to_send, self._send)
            self._each(IngestPhase.CONFIRM, self._in_state(FileState.STORED), self._confirm)

    def send_again(self, names: Iterable[str]) -> None:
        """Note that the server turned out not to have these; it is for `deliver` to send them."""
        wanted = set(names)
        found = [file for file in self._in_state(FileState.CONFIRMED) if file.new_name in wanted]
        self._journal.move(found, FileState.RENAMED)

    def _in_state(self, *states: FileState) -> list[JournalFile]:
        every = self._journal.files(self._session.id)
        return [
            file
            for file in every
            if file.is_sent and file.state in states and file.id not in self.failed
        ]

    def _each(
        self, phase: IngestPhase, files: Sequence[JournalFile], work: Callable[[JournalFile], None]
    ) -> None:
        """Do it with each file, several at once; the first error that concerns all ends it."""
        if not files:
            return
        self._watcher.begins(phase, len(files), sum(file.size_bytes for file in files))
        with ThreadPoolExecutor(self._at_once, thread_name_prefix=phase) as threads:
            every = [threads.submit(self._one, work, file) for file in files]
            try:
                for done in as_completed(every):
                    done.result()
            except BaseException:
                self._patience.stop.give()
                threads.shutdown(cancel_futures=True)
                raise

    def _one(self, work: Callable[[JournalFile], None], file: JournalFile) -> None:
        path = self._folder / file.new_name
        try:
            work(file)
        except ServerRefused as error:
            if error.code not in _OF_ONE_FILE:
                raise
            self.failed[file.id] = FileRefused(path, error)
        except WorkstationError as error:
            if error.file != path:
                raise
            self.failed[file.id] = error
        self._watcher.ends(file.new_name)

    def _send(self, file: JournalFile) -> None:
        """Have the server store a file."""
        path = self._folder / file.new_name
        check_unchanged(self._folder, [file])
        furthest = 0

        def sent_on(moved: Callable[[], None]) -> None:
            nonlocal furthest

            def passed(offset: int) -> None:
                nonlocal furthest
                self._patience.stop.check()
                self._watcher.moves(file.new_name, offset, file.size_bytes)
                if offset > furthest:
                    furthest = offset
                    moved()

            place = self._place_of(file)
            furthest = max(furthest, place.offset)
            self._watcher.moves(file.new_name, place.offset, file.size_bytes)
            if place.offset < file.size_bytes:
                pieces = pieces_from(path, file, place.offset, passed)
                there = self._server.send(place, file.size_bytes, pieces)
                if there < file.size_bytes:
                    raise ServerAway("the server took a part only")

        while True:
            try:
                self._patience.until_done(sent_on)
                break
            except ServerRefused as error:
                self._once_more(file, error)
        check_unchanged(self._folder, [file])
        self._journal.move([file], FileState.STORED)

    def _place_of(self, file: JournalFile) -> UploadPlace:
        """Where the file goes, and how much of it is there; the journal knows it from now on."""
        url = self._journal.file(file.id).upload_url
        if url:
            try:
                return UploadPlace(url, self._server.offset(url))
            except ServerRefused as error:
                if error.code != RefusalCode.UNKNOWN_UPLOAD:
                    raise
        place = self._server.begin_file(
            self._session.workstation, self._session.name, sent_file(file)
        )
        self._journal.set_upload(file, place.url)
        return place

    def _confirm(self, file: JournalFile) -> None:
        """Have the server read back what it stored, and compare that with the journal."""
        url = self._journal.file(file.id).upload_url

        def asked(_: Callable[[], None]) -> StoredFile | ServerRefused:
            try:
                return self._server.confirm(url, file.size_bytes)
            except ServerRefused as error:
                if error.code not in _NOT_THERE:
                    raise
                return error

        stored = self._patience.until_done(asked)
        if isinstance(stored, ServerRefused):
            self._once_more(file, stored)
            self._journal.move([file], FileState.RENAMED)
            return
        said = SentFile(name=stored.name, size_bytes=stored.size_bytes, sha256=stored.sha256)
        if said != sent_file(file):
            what = (
                f"the server says that it stored {said.name} of {said.size_bytes} bytes with the "
                f"SHA-256 {said.sha256}, and {file.sha256} was sent"
            )
            raise FalseConfirmation(self._folder / file.new_name, what)
        self._journal.move([file], FileState.CONFIRMED)
        self._watcher.moves(file.new_name, file.size_bytes, file.size_bytes)

    def _once_more(self, file: JournalFile, error: ServerRefused) -> None:
        """Begin a file anew that the server turned out not to have; at last, raise its error."""
        if error.code not in _NOT_THERE:
            raise error
        path = self._folder / file.new_name
        if error.code in _ARRIVED_WRONG:
            check_content(path, file)
        self._begun[file.id] += 1
        if self._begun[file.id] >= TIMES:
            raise FileRefused(path, error) from error
        self._journal.set_upload(file, "")
        self._watcher.notes(f"{file.new_name}: {error.text}; it is sent once more")
