"""The client's own memory: every session it began, and how far each of its files is.

A SQLite database on the workstation's disk. Whatever happens to a file is written here, and on
the disk, before the next thing happens; so a client that was killed at any point goes on.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from workstation.journal.records import (
    COMES_FROM,
    FINISHED,
    FileState,
    FolderState,
    JournalFile,
    JournalMoveRefused,
    JournalSession,
    JournalUnusable,
    PlanRefused,
    SessionBegun,
    file_of,
    session_of,
)
from workstation.journal.tables import COLUMNS, LAYOUT, TABLES
from workstation.places import folder_key, private_folder
from workstation.session.folders import LeftFiles
from workstation.session.planning import FolderPlan

BUSY_SECONDS = 30


class SessionJournal:
    """The journal in `path`, which is made if it is not there; any thread may use it.

    Every method raises JournalUnusable when the database cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        private_folder(path.parent)
        try:
            self._open = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise JournalUnusable(path, str(error)) from error
        try:
            self._prepare()
        except BaseException:
            self._open.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            self._open.close()

    def begin(self, plan: FolderPlan, *, is_kept: bool = False) -> JournalSession:
        """Write a whole plan down, before anything is changed; `is_kept`: nothing will be deleted.

        Raises PlanRefused for one that has problems, SessionBegun when the folder has a session.
        """
        if plan.stops:
            named = "; ".join(str(each) for each in plan.problems if each.stops) or "it is empty"
            raise PlanRefused(plan.folder, named)
        if (begun := self.unfinished(plan.folder)) is not None:
            raise SessionBegun(plan.folder, f"the session {begun.name} of it is not finished")
        facts = plan.session
        row = (
            str(plan.folder), folder_key(plan.folder), facts.values.workstation, facts.name,
            facts.choices.model_dump_json(), facts.values.delete_after, is_kept,
            FolderState.PLANNED, facts.begun_at.isoformat(),
        )  # fmt: skip
        with self._transaction() as database:
            session_id = database.execute(
                "INSERT INTO session (folder, folder_key, workstation, name, choices,"
                " delete_after, is_kept, state, begun_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
                row,
            ).fetchone()[0]
            database.executemany(
                "INSERT INTO file (session_id, stem, guid, kind, original_name, new_name,"
                " size_bytes, mtime_ns, sha256, captured_at, doubt, is_sent, state, content)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'planned', ?)",
                _rows(session_id, plan),
            )
        return self.session(session_id)

    def session(self, session_id: int) -> JournalSession:
        """That session as it is now. Raises KeyError for one that was never begun."""
        found = self._all("SELECT * FROM session WHERE id = ?", session_id)
        if not found:
            raise KeyError(session_id)
        return session_of(found[0])

    def sessions(self, most: int = 100) -> list[JournalSession]:
        """The sessions of this workstation's user, the newest first."""
        return [
            session_of(row)
            for row in self._all("SELECT * FROM session ORDER BY id DESC LIMIT ?", most)
        ]

    def unfinished(self, folder: Path) -> JournalSession | None:
        """The session of a folder that has not ended; one that has is never used again."""
        asked = "SELECT * FROM session WHERE folder_key = ? AND ended_at IS NULL"
        return next((session_of(row) for row in self._all(asked, folder_key(folder))), None)

    def files(self, session_id: int) -> list[JournalFile]:
        """Every file of a session, in the order of the plan."""
        asked = f"SELECT {COLUMNS} FROM file WHERE session_id = ? ORDER BY id"
        return [file_of(row) for row in self._all(asked, session_id)]

    def file(self, file_id: int) -> JournalFile:
        """That file as it is now. Raises KeyError for one that there is not."""
        found = self._all(f"SELECT {COLUMNS} FROM file WHERE id = ?", file_id)
        if not found:
            raise KeyError(file_id)
        return file_of(found[0])

    def content(self, file: JournalFile) -> bytes:
        """What is to be written into a metadata document; KeyError once its session ended."""
        (row,) = self._all("SELECT content FROM file WHERE id = ?", file.id)
        if row["content"] is None:
            raise KeyError(file.new_name)
        return cast(bytes, row["content"])

    def has_guid(self, guid: str) -> bool:
        """Whether a guid was given to a specimen of any session."""
        return bool(self._all("SELECT 1 FROM file WHERE guid = ? LIMIT 1", guid))

    def left_files(self, folder: Path) -> LeftFiles:
        """The files that ended sessions left in a folder, by name: bytes and time (ns)."""
        asked = """
            SELECT new_name, size_bytes, mtime_ns FROM file JOIN session s ON s.id = session_id
            WHERE s.folder_key = ? AND s.ended_at IS NOT NULL AND file.state <> 'deleted'
        """
        rows = self._all(asked, folder_key(folder))
        return {row["new_name"]: (row["size_bytes"], row["mtime_ns"]) for row in rows}

    def renamed(self, times: Mapping[int, int]) -> None:
        """Note that files have their new names; by id, their times of change (ns).

        Raises JournalMoveRefused when one of them is further already.
        """
        asked = (
            "UPDATE file SET state = 'renamed', mtime_ns = ?"
            " WHERE id = ? AND state IN ('planned', 'renamed')"
        )
        with self._transaction() as database:
            given = [(time, file_id) for file_id, time in times.items()]
            if database.executemany(asked, given).rowcount != len(given):
                what = "files that are further than that cannot get their names"
                raise JournalMoveRefused(self.path, what)

    def move(self, files: Iterable[JournalFile], to: FileState) -> None:
        """Note that files have come so far: all of them, or none.

        Raises JournalMoveRefused for a step that is not one, such as a deletion before all that
        is sent of the specimen is confirmed.
        """
        with self._transaction() as database:
            for file in files:
                if not self._moved(database, file, to):
                    what = f"{file.new_name} cannot be {to} now"
                    raise JournalMoveRefused(self.path, what)

    def _moved(self, database: sqlite3.Connection, file: JournalFile, to: FileState) -> bool:
        before = json.dumps(COMES_FROM[to])
        asked = """
            UPDATE file SET state = :to, upload_url = iif(:to = 'renamed', '', upload_url)
            WHERE id = :id AND (
                state IN (SELECT value FROM json_each(:before))
                OR (:to IN ('deleted', 'kept') AND NOT is_sent AND state = 'renamed'))
            AND NOT (:to = 'deleted' AND EXISTS (
                SELECT 1 FROM file other
                WHERE other.session_id = file.session_id AND other.guid = file.guid
                  AND other.is_sent AND other.state NOT IN ('confirmed', 'deleted', 'kept')))
        """
        found = database.execute(asked, {"to": to, "id": file.id, "before": before})
        return found.rowcount == 1

    def leave_out(self, session: JournalSession, guid: str) -> None:
        """Note that a session goes on without a specimen, of which nothing was deleted.

        Raises JournalMoveRefused when something was.
        """
        with self._transaction() as database:
            asked = "SELECT 1 FROM file WHERE session_id = ? AND guid = ? AND state = 'deleted'"
            if database.execute(asked, (session.id, guid)).fetchone():
                raise JournalMoveRefused(self.path, f"files of {guid} are deleted already")
            database.execute(
                "UPDATE file SET state = 'left_out', upload_url = ''"
                " WHERE session_id = ? AND guid = ?",
                (session.id, guid),
            )

    def set_upload(self, file: JournalFile, url: str) -> None:
        """Note where a file is being uploaded to, so that it goes on there."""
        with self._transaction() as database:
            database.execute("UPDATE file SET upload_url = ? WHERE id = ?", (url, file.id))

    def move_session(self, session: JournalSession, to: FolderState) -> None:
        """Note how far a session is; `end` ends it."""
        with self._transaction() as database:
            asked = "UPDATE session SET state = ? WHERE id = ? AND ended_at IS NULL"
            if database.execute(asked, (to, session.id)).rowcount != 1:
                raise JournalMoveRefused(self.path, f"the session {session.name} has ended")

    def end(self, session: JournalSession, now: datetime) -> None:
        """End a session whose every file is deleted or kept.

        Raises JournalMoveRefused while one is not.
        """
        open_states = [each for each in FileState if each not in FINISHED]
        with self._transaction() as database:
            asked = """
                UPDATE session SET state = 'ended', ended_at = ?
                WHERE id = ? AND ended_at IS NULL AND NOT EXISTS (
                    SELECT 1 FROM file WHERE session_id = session.id
                      AND state IN (SELECT value FROM json_each(?)))
            """
            given = (now.isoformat(), session.id, json.dumps(open_states))
            if database.execute(asked, given).rowcount != 1:
                what = f"the session {session.name} has files that are neither deleted nor kept"
                raise JournalMoveRefused(self.path, what)
            database.execute("UPDATE file SET content = NULL WHERE session_id = ?", (session.id,))

    def _all(self, asked: str, *values: object) -> list[sqlite3.Row]:
        with self._named_errors(), self._lock:
            return self._open.execute(asked, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._named_errors(), self._lock:
            self._open.execute("BEGIN IMMEDIATE")
            try:
                yield self._open
                self._open.execute("COMMIT")
            except BaseException:
                if self._open.in_transaction:
                    self._open.execute("ROLLBACK")
                raise

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalUnusable(self.path, str(error)) from error

    def _prepare(self) -> None:
        self._open.row_factory = sqlite3.Row
        with self._named_errors():
            self._open.execute("PRAGMA journal_mode = WAL")
            self._open.execute("PRAGMA synchronous = FULL")
            self._open.execute("PRAGMA foreign_keys = ON")
        with self._transaction() as database:
            layout = database.execute("PRAGMA user_version").fetchone()[0]
            if layout > LAYOUT:
                what = f"it was written by a later version of this program (form {layout})"
                raise JournalUnusable(self.path, what, "install that version again")
            if layout == 0:
                for statement in TABLES.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {LAYOUT}")


def _rows(session_id: int, plan: FolderPlan) -> Iterator[tuple[object, ...]]:
    for each in plan.specimens:
        for file in each.files:
            facts = file.facts
            yield (
                session_id, each.stem, each.guid, file.kind, file.original_name, file.new_name,
                facts.size_bytes, facts.mtime_ns, facts.sha256, each.captured.when.isoformat(),
                each.captured.warning, file.is_sent, file.content or None,
            )  # fmt: skip
