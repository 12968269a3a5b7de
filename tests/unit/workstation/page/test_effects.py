"""What a run will do, as it is said beforehand."""

from pathlib import Path

from tests.support.camera import VALUES, camera_session, planned
from workstation.journal.journal import SessionJournal
from workstation.journal.records import FileState
from workstation.page.effects import effects_of_plan, effects_of_session, total_bytes


def test_a_plan_says_what_is_sent_and_that_raws_are_deleted_without_being_sent(
    tmp_path: Path,
) -> None:
    folder = camera_session(tmp_path / "session", 2)
    effects = effects_of_plan(planned(folder))
    assert (effects.specimens, len(effects.to_be_sent), len(effects.to_be_deleted)) == (2, 4, 6)
    assert [each.original_name for each in effects.raws] == ["DSCF0001.RAF", "DSCF0002.RAF"]
    assert not effects.raws_uploaded
    assert total_bytes(effects.raws) == 8192


def test_raws_that_are_sent_are_not_called_lost(tmp_path: Path) -> None:
    folder = camera_session(tmp_path / "session", 1)
    values = VALUES.model_copy(update={"upload_raw": True, "delete_after": "archived"})
    effects = effects_of_plan(planned(folder, values=values))
    assert effects.raws_uploaded and len(effects.to_be_sent) == 3
    assert effects.delete_after == "archived"


def test_a_session_that_was_begun_says_what_is_left_of_it(tmp_path: Path) -> None:
    folder = camera_session(tmp_path / "session", 2)
    with SessionJournal(tmp_path / "journal.sqlite") as journal:
        session = journal.begin(planned(folder, journal))
        files = journal.files(session.id)
        journal.renamed({file.id: file.mtime_ns for file in files})
        first = [file for file in files if file.guid == files[0].guid]
        sent = [file for file in first if file.is_sent]
        for state in (FileState.STORED, FileState.CONFIRMED, FileState.DELETED):
            journal.move(sent if state != FileState.DELETED else sent[:1], state)
        effects = effects_of_session(session, journal.files(session.id))
    assert effects.begun and effects.specimens == 2
    assert (len(effects.safe), len(effects.to_be_sent)) == (2, 2)
    assert (len(effects.to_be_deleted), len(effects.raws)) == (5, 2)
