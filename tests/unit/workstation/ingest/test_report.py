"""The report of a run: what it says to a person, and what is kept of it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.camera import NOW, camera_session, planned
from workstation.ingest.removal import deletable, deletion_of
from workstation.ingest.renaming import rename_files
from workstation.ingest.report import IngestResult, report_of, save_report, size_text
from workstation.journal.journal import SessionJournal
from workstation.journal.records import FileState, FolderState, JournalSession
from workstation.problems import FileProblem


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SessionJournal]:
    with SessionJournal(tmp_path / "state" / "journal.sqlite") as opened:
        yield opened


@pytest.fixture
def session(tmp_path: Path, journal: SessionJournal) -> JournalSession:
    """A session of two specimens, renamed."""
    begun = journal.begin(planned(camera_session(tmp_path / "Ærø", 2), journal))
    rename_files(journal, begun)
    return journal.session(begun.id)


def confirm(journal: SessionJournal, session: JournalSession, guid: str) -> None:
    """Have all that is sent of a specimen confirmed."""
    files = [file for file in journal.files(session.id) if file.is_sent and file.guid == guid]
    for state in (FileState.STORED, FileState.CONFIRMED):
        journal.move(files, state)


def test_only_specimens_that_are_confirmed_wholly_may_be_deleted(
    journal: SessionJournal, session: JournalSession
) -> None:
    assert deletable(journal.files(session.id)) == []
    first, second = sorted({file.guid for file in journal.files(session.id)})
    confirm(journal, session, first)
    one = next(file for file in journal.files(session.id) if file.guid == second and file.is_sent)
    journal.move([one], FileState.STORED)
    journal.move([one], FileState.CONFIRMED)
    found = deletable(journal.files(session.id))
    assert {file.guid for file in found} == {first} and len(found) == 3
    deletion = deletion_of(session.folder, found)
    assert (len(deletion.sent), len(deletion.raws), deletion.raws_uploaded) == (2, 1, False)
    raw = next(file for file in found if file.kind == "raw")
    journal.move([raw], FileState.DELETED)
    assert raw.id not in [file.id for file in deletable(journal.files(session.id))]


def test_it_counts_what_the_journal_has_and_names_what_was_met(
    tmp_path: Path, journal: SessionJournal, session: JournalSession
) -> None:
    guid = min(file.guid for file in journal.files(session.id))
    confirm(journal, session, guid)
    raw = next(
        file for file in journal.files(session.id) if file.guid == guid and file.kind == "raw"
    )
    journal.move([raw], FileState.DELETED)
    files = journal.files(session.id)
    problem = FileProblem(session.folder / "a.tif", "it was changed", "look at it")
    report = report_of(
        session, files, server="https://refinery", seconds=1.5, problems=[problem], kept=[problem]
    )
    assert (report.result, report.files, report.confirmed) == (IngestResult.PROBLEMS, 4, 2)
    text = report.text()
    assert f"deleted raw (not uploaded) {raw.original_name} = {raw.new_name}" in text
    assert raw.sha256 in text and "Kept: a.tif: it was changed" in text
    assert "Problem: a.tif: it was changed; look at it" in text
    path = save_report(tmp_path / "reports", report, NOW)
    assert path.read_text(encoding="utf-8") == text + "\n"
    said = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert said["deleted_raws"][0]["sha256"] == raw.sha256
    assert said["problems"] == [{"file": "a.tif", "what": "it was changed", "remedy": "look at it"}]


@pytest.mark.parametrize(
    ("state", "why", "result"),
    [
        (FolderState.RENAMED, "stopped", IngestResult.COME_BACK),
        (FolderState.SENT, "", IngestResult.WAITS_FOR_ARCHIVE),
        (FolderState.SENT, "the login has ended", IngestResult.COME_BACK),
    ],
)
def test_how_it_ended_follows_from_how_far_it_is(
    journal: SessionJournal,
    session: JournalSession,
    state: FolderState,
    why: str,
    result: IngestResult,
) -> None:
    journal.move_session(session, state)
    found = journal.session(session.id)
    report = report_of(found, journal.files(found.id), server="s", seconds=0, why=why)
    assert report.result == result


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (12_300, "12.3 kB"), (3_400_000_000, "3.4 GB")],
)
def test_sizes_are_read_by_people(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text
