"""What became of a session: for the person at its end, and kept beside the journal."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from workstation.files import write_whole
from workstation.journal.records import FileState, FolderState, JournalFile, JournalSession
from workstation.places import private_folder
from workstation.problems import FileProblem

_CONFIRMED = frozenset({FileState.CONFIRMED, FileState.DELETED, FileState.KEPT})


class IngestResult(StrEnum):
    """How a run ended. `come_back`: nothing is wrong with the files, it is to be gone on with."""

    DONE = "done"
    WAITS_FOR_ARCHIVE = "waits_for_archive"
    PROBLEMS = "problems"
    COME_BACK = "come_back"


@dataclass(frozen=True, slots=True)
class DeletedRaw:
    """A raw that was deleted, which may be the last that is known of it."""

    name: str
    original_name: str
    size_bytes: int
    sha256: str
    was_uploaded: bool


@dataclass(frozen=True, slots=True)
class IngestReport:
    """A session after a run. `kept` and `problems` name files; `why`: what ended the run early.

    `needs_login`: it goes on once somebody has logged in again.
    """

    result: IngestResult
    session: str
    workstation: str
    folder: Path
    server: str
    seconds: float
    specimens: int
    files: int
    confirmed: int
    confirmed_bytes: int
    deleted: int
    deleted_raws: tuple[DeletedRaw, ...]
    kept: tuple[FileProblem, ...]
    problems: tuple[FileProblem, ...]
    why: str = ""
    needs_login: bool = False

    def text(self) -> str:
        """The report as lines for a person."""
        return "\n".join(_lines(self))

    def to_json(self) -> dict[str, Any]:
        """The report for a program."""
        found = asdict(self)
        found["folder"] = str(self.folder)
        for name in ("kept", "problems"):
            problems: tuple[FileProblem, ...] = getattr(self, name)
            found[name] = [
                {"file": each.file.name, "what": each.what, "remedy": each.remedy}
                for each in problems
            ]
        return found


def report_of(
    session: JournalSession,
    files: Sequence[JournalFile],
    *,
    server: str,
    seconds: float,
    kept: Iterable[FileProblem] = (),
    problems: Iterable[FileProblem] = (),
    why: str = "",
    needs_login: bool = False,
) -> IngestReport:
    """The report of a session, from what the journal has of it and what this run met."""
    confirmed = [file for file in files if file.is_sent and file.state in _CONFIRMED]
    wrong = tuple(problems)
    return IngestReport(
        result=_result(session, has_problems=bool(wrong), why=why),
        session=session.name,
        workstation=session.workstation,
        folder=session.folder,
        server=server,
        seconds=seconds,
        specimens=len({file.guid for file in files}),
        files=sum(file.is_sent for file in files),
        confirmed=len(confirmed),
        confirmed_bytes=sum(file.size_bytes for file in confirmed),
        deleted=Counter(file.state for file in files)[FileState.DELETED],
        deleted_raws=tuple(
            DeletedRaw(
                file.new_name, file.original_name, file.size_bytes, file.sha256, file.is_sent
            )
            for file in files
            if file.kind == "raw" and file.state == FileState.DELETED
        ),
        kept=tuple(kept),
        problems=wrong,
        why=why,
        needs_login=needs_login,
    )


def _deleted_raw(file: JournalFile) -> DeletedRaw:
    return DeletedRaw(
        name=file.new_name,
        original_name=file.original_name,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        was_uploaded=file.is_sent,
    )


def _result(session: JournalSession, *, has_problems: bool, why: str) -> IngestResult:
    if has_problems:
        return IngestResult.PROBLEMS
    if session.state == FolderState.ENDED:
        return IngestResult.DONE
    if session.state == FolderState.SENT and not why:
        return IngestResult.WAITS_FOR_ARCHIVE
    return IngestResult.COME_BACK


def save_report(folder: Path, report: IngestReport, now: datetime) -> Path:
    """Keep a report as JSON and as text; where the text is. Raises WorkstationError."""
    private_folder(folder)
    name = f"{report.session}_{now:%Y%m%dT%H%M%S}"
    content = json.dumps(report.to_json(), ensure_ascii=False, indent=2)
    write_whole(folder / f"{name}.json", content.encode())
    path = folder / f"{name}.txt"
    write_whole(path, f"{report.text()}\n".encode())
    return path


def size_text(size_bytes: int) -> str:
    """Bytes as a person reads them: 3.4 GB."""
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


_ENDS = {
    IngestResult.DONE: "The session is complete.",
    IngestResult.WAITS_FOR_ARCHIVE: (
        "The session is complete on the server. Its files stay here until the archive has them: "
        "run `refinery ingest --clean` later."
    ),
    IngestResult.PROBLEMS: (
        "There are problems. Put right what is named, then run the same command again: it goes on."
    ),
    IngestResult.COME_BACK: "The session is not complete yet; run the same command again.",
}


def _lines(report: IngestReport) -> Iterable[str]:
    yield f"Session {report.session} of {report.workstation}, folder {report.folder}"
    yield f"Specimens: {report.specimens}"
    size = size_text(report.confirmed_bytes)
    yield f"Confirmed by {report.server}: {report.confirmed} of {report.files} files, {size}"
    yield f"Deleted here: {report.deleted} files"
    for raw in report.deleted_raws:
        where = "uploaded" if raw.was_uploaded else "not uploaded"
        yield f"  deleted raw ({where}) {raw.original_name} = {raw.name}  SHA-256 {raw.sha256}"
    for each in report.kept:
        yield f"Kept: {each.file.name}: {each.what}"
    for each in report.problems:
        yield f"Problem: {each}"
    if report.why:
        yield report.why
    yield _ENDS[report.result]
