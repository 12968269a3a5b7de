"""What the journal keeps, and the steps that it refuses."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.camera import CHOICES, NOW, VALUES, camera_session, planned
from workstation.journal.journal import SessionJournal
from workstation.journal.records import (
    FileState,
    FolderState,
    JournalFile,
    JournalMoveRefused,
    JournalSession,
    JournalUnusable,
    PlanRefused,
    SessionBegun,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return camera_session(tmp_path / "Ærø mappe", 2)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SessionJournal]:
    with SessionJournal(tmp_path / "state" / "journal.sqlite") as opened:
        yield opened


@pytest.fixture
def session(folder: Path, journal: SessionJournal) -> JournalSession:
    return journal.begin(planned(folder, journal))


def of_kind(journal: SessionJournal, session: JournalSession, kind: str) -> list[JournalFile]:
    return [file for file in journal.files(session.id) if file.kind == kind]


def bring(journal: SessionJournal, session: JournalSession, *states: FileState) -> None:
    """Bring all that is sent so far, from `planned`."""
    files = journal.files(session.id)
    journal.renamed({file.id: file.mtime_ns or 1 for file in files})
    for state in states:
        journal.move([file for file in files if file.is_sent], state)


STORED, CONFIRMED, DELETED, KEPT = (
    FileState.STORED,
    FileState.CONFIRMED,
    FileState.DELETED,
    FileState.KEPT,
)


def test_a_whole_plan_is_read_back_by_another_client(folder: Path, journal: SessionJournal) -> None:
    plan = planned(folder)
    begun = journal.begin(plan)
    with SessionJournal(journal.path) as again:
        found = again.unfinished(folder)
        assert found == begun
        assert (begun.folder, begun.workstation) == (folder, "WORKHERB0001")
        assert (begun.name, begun.choices) == (plan.session.name, CHOICES)
        assert (begun.state, begun.begun_at, begun.ended_at) == (FolderState.PLANNED, NOW, None)
        files = again.files(begun.id)
        assert [file.new_name for file in files] == [
            file.new_name for each in plan.specimens for file in each.files
        ]
        first, specimen = files[0], plan.specimens[0]
        assert (first.guid, first.captured_at) == (specimen.guid, specimen.captured.when)
        assert first.sha256 == specimen.files[0].facts.sha256
        assert {file.state for file in files} == {FileState.PLANNED}
        contents = {file.new_name: file.content for file in specimen.files if file.content}
        assert again.content(files[2]) == contents[files[2].new_name]
        assert again.has_guid(first.guid) and not again.has_guid("another")


def test_a_plan_that_stops_is_not_begun(folder: Path, journal: SessionJournal) -> None:
    (folder / "DSCF0001.tif").write_bytes(b"")
    with pytest.raises(PlanRefused, match=r"DSCF0001\.tif: it is empty"):
        journal.begin(planned(folder))
    assert journal.sessions() == []


def test_a_plan_is_written_whole_or_not_at_all(folder: Path, journal: SessionJournal) -> None:
    plan = planned(folder)
    with sqlite3.connect(journal.path) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON file WHEN (SELECT count(*) FROM file) = 4"
            " BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    with pytest.raises(JournalUnusable, match="disk is full; make room"):
        journal.begin(plan)
    assert journal.unfinished(folder) is None and journal.sessions() == []


def test_a_folder_has_one_unfinished_session(
    folder: Path, journal: SessionJournal, session: JournalSession, tmp_path: Path
) -> None:
    with pytest.raises(SessionBegun, match=session.name):
        journal.begin(planned(folder))
    other = camera_session(tmp_path / "other", 1)
    assert journal.unfinished(other) is None
    (tmp_path / "link").symlink_to(folder)
    assert journal.unfinished(tmp_path / "link") == session


def test_an_upload_goes_on_where_it_was(journal: SessionJournal, session: JournalSession) -> None:
    image = of_kind(journal, session, "image")[0]
    journal.set_upload(image, "/files/1")
    assert of_kind(journal, session, "image")[0].upload_url == "/files/1"
    bring(journal, session, STORED)
    journal.move([image], FileState.RENAMED)  # the server turned out not to have it
    again = of_kind(journal, session, "image")[0]
    assert (again.state, again.upload_url) == (FileState.RENAMED, "")


@pytest.mark.parametrize("states", [(), (STORED,)])
@pytest.mark.parametrize("kind", ["image", "metadata", "raw"])
def test_nothing_is_deleted_before_its_specimen_is_confirmed(
    journal: SessionJournal, session: JournalSession, kind: str, states: tuple[FileState, ...]
) -> None:
    bring(journal, session, *states)
    with pytest.raises(JournalMoveRefused, match="cannot be deleted now"):
        journal.move(of_kind(journal, session, kind), DELETED)


def test_one_unconfirmed_file_keeps_the_others_of_its_specimen(
    journal: SessionJournal, session: JournalSession
) -> None:
    bring(journal, session, STORED)
    metadata, images = of_kind(journal, session, "metadata"), of_kind(journal, session, "image")
    journal.move([*images, metadata[0]], CONFIRMED)
    whole, lacking = of_kind(journal, session, "raw")
    journal.move([whole], DELETED)
    with pytest.raises(JournalMoveRefused):
        journal.move([lacking], DELETED)
    with pytest.raises(JournalMoveRefused):
        journal.move([images[1]], DELETED)


def test_a_move_of_several_files_is_all_or_none(
    journal: SessionJournal, session: JournalSession
) -> None:
    bring(journal, session)
    one, other = of_kind(journal, session, "image")
    journal.move([one], STORED)
    with pytest.raises(JournalMoveRefused, match=f"{other.new_name} cannot be confirmed now"):
        journal.move([one, other], CONFIRMED)
    assert [file.state for file in of_kind(journal, session, "image")] == ["stored", "renamed"]


def test_what_is_further_does_not_get_its_name_again(
    journal: SessionJournal, session: JournalSession
) -> None:
    bring(journal, session, STORED)
    with pytest.raises(JournalMoveRefused):
        journal.renamed({of_kind(journal, session, "image")[0].id: 1})


def test_a_session_ends_when_every_file_is_deleted_or_kept(
    folder: Path, journal: SessionJournal, session: JournalSession
) -> None:
    bring(journal, session, STORED, CONFIRMED)
    journal.move_session(session, FolderState.SENT)
    assert journal.session(session.id).state == FolderState.SENT
    with pytest.raises(JournalMoveRefused, match="neither deleted nor kept"):
        journal.end(session, NOW)
    files = journal.files(session.id)
    journal.move([file for file in files if file.is_sent], DELETED)
    journal.move([file for file in files if not file.is_sent], KEPT)
    journal.end(session, NOW)
    ended = journal.session(session.id)
    assert (ended.state, ended.ended_at) == (FolderState.ENDED, NOW)
    assert journal.unfinished(folder) is None
    for step in (lambda: journal.end(session, NOW), lambda: journal.move_session(session, "sent")):
        with pytest.raises(JournalMoveRefused):
            step()
    with pytest.raises(KeyError):
        journal.content(of_kind(journal, session, "metadata")[0])


def test_what_is_sent_is_never_kept_unsent(
    journal: SessionJournal, session: JournalSession
) -> None:
    bring(journal, session)
    with pytest.raises(JournalMoveRefused):
        journal.move(of_kind(journal, session, "image"), KEPT)


def test_a_used_folder_is_a_new_session_without_what_the_ended_one_left(
    folder: Path, journal: SessionJournal, session: JournalSession
) -> None:
    for file in journal.files(session.id):
        if file.kind != "metadata":
            (folder / file.original_name).rename(folder / file.new_name)
    bring(journal, session, STORED, CONFIRMED)
    raws = of_kind(journal, session, "raw")
    files = [file for file in journal.files(session.id) if file.is_sent]
    for file in files:
        (folder / file.new_name).unlink(missing_ok=True)
    journal.move(files, DELETED)
    journal.move(raws, KEPT)
    journal.end(session, NOW)
    assert journal.left_files(folder).keys() == {raw.new_name for raw in raws}
    camera_session(folder, 1, first=9)
    plan = planned(folder, journal)
    assert [each.stem for each in plan.specimens] == ["DSCF0009"] and not plan.stops
    again = journal.begin(plan)
    assert again.id != session.id and journal.unfinished(folder) == again
    assert [each.id for each in journal.sessions()] == [again.id, session.id]


def test_many_threads_may_use_it(journal: SessionJournal, session: JournalSession) -> None:
    bring(journal, session)
    files = [file for file in journal.files(session.id) if file.is_sent]

    def work(file: JournalFile) -> None:
        for i in range(20):
            journal.set_upload(file, f"/files/{file.id}/{i}")
        journal.move([file], STORED)

    threads = [threading.Thread(target=work, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = [file for file in journal.files(session.id) if file.is_sent]
    assert {file.state for file in found} == {STORED}
    assert all(file.upload_url == f"/files/{file.id}/19" for file in found)


def test_what_is_written_is_on_the_disk(journal: SessionJournal) -> None:
    modes = {
        name: journal._open.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    assert modes == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_journal_that_is_none_or_of_a_later_version_is_named_and_left(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(JournalUnusable, match=r"journal\.sqlite: file is not a database"):
        SessionJournal(path)
    path.unlink()
    with sqlite3.connect(path) as later:
        later.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalUnusable, match="later version"):
        SessionJournal(path)


def test_values_of_another_workstation_are_another_session(
    folder: Path, journal: SessionJournal
) -> None:
    values = VALUES.model_copy(update={"workstation": "Ærø 2", "workstation_number": 2})
    assert journal.begin(planned(folder, values=values)).workstation == "Ærø 2"
