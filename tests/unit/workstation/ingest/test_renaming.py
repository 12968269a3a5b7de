"""Files get their names once, in whatever moment the client is killed; nothing is overwritten."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.metadata.document import read_document
from tasks.files.images import inspect_image
from tasks.files.ndrive import is_session_name, list_session
from tests.support.camera import NOW, camera_image, camera_session, planned, set_file_time
from workstation.files import FileChanged
from workstation.ingest import renaming
from workstation.ingest.renaming import NameInUse, check_unchanged, rename_files
from workstation.journal.journal import SessionJournal
from workstation.journal.records import FileState, FolderState, JournalFile, JournalSession
from workstation.problems import FileGone, NoAccess

COUNT = 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return camera_session(tmp_path / "Ærø mappe", COUNT)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SessionJournal]:
    with SessionJournal(tmp_path / "state" / "journal.sqlite") as opened:
        yield opened


@pytest.fixture
def session(folder: Path, journal: SessionJournal) -> JournalSession:
    return journal.begin(planned(folder, journal))


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def files(journal: SessionJournal, session: JournalSession) -> list[JournalFile]:
    return journal.files(session.id)


def assert_all_named(folder: Path, journal: SessionJournal, session: JournalSession) -> None:
    """Every file is there under its new name with what was planned, and nothing else is."""
    found = files(journal, session)
    assert contents(folder) == {file.new_name: file.sha256 for file in found}
    assert {file.state for file in found} == {FileState.RENAMED}
    assert journal.session(session.id).state == FolderState.RENAMED
    check_unchanged(folder, found)


def test_every_file_gets_its_name_and_the_metadata_is_written(
    folder: Path, journal: SessionJournal, session: JournalSession
) -> None:
    told: list[str] = []
    rename_files(journal, session, lambda file: told.append(file.new_name))
    assert_all_named(folder, journal, session)
    assert told == [file.new_name for file in files(journal, session)]
    rename_files(journal, journal.session(session.id))
    assert_all_named(folder, journal, session)


@pytest.mark.parametrize("step", range(2 * COUNT + 1))
def test_it_goes_on_after_an_error_at_any_file(
    folder: Path,
    journal: SessionJournal,
    session: JournalSession,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    count = 0

    def failing(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count > step:
            raise PermissionError(13, "another program has it open")
        os.rename(self, target)
        return target

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", failing)
        if step < 2 * COUNT:
            with pytest.raises(NoAccess, match="close the program"):
                rename_files(journal, session)
        else:
            rename_files(journal, session)
    rename_files(journal, session)
    assert_all_named(folder, journal, session)


KILLED = """
import os, signal, sqlite3, sys
from pathlib import Path
from workstation import files
from workstation.ingest import renaming
from workstation.journal.journal import SessionJournal

step, count = int(sys.argv[3]), 0

def dying(function):
    def called(*given, **named):
        global count
        for after in (False, True):
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 1
            if not after:
                done = function(*given, **named)
        return done
    return called

with SessionJournal(Path(sys.argv[1])) as journal:
    session = journal.unfinished(Path(sys.argv[2]))
    Path.rename, Path.replace, Path.open = dying(Path.rename), dying(Path.replace), dying(Path.open)
    os.fsync = dying(os.fsync)
    SessionJournal.renamed = dying(SessionJournal.renamed)
    SessionJournal.move_session = dying(SessionJournal.move_session)
    renaming.rename_files(journal, session)
print(count)
"""


def killed(journal: Path, folder: Path, step: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, str(journal), str(folder), str(step)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_goes_on_after_a_kill_at_any_step(tmp_path: Path) -> None:
    originals = contents(camera_session(tmp_path / "Ærø 0", COUNT))
    step = 0
    while True:
        folder = camera_session(tmp_path / f"Ærø {step}", COUNT)
        path = tmp_path / f"state {step}" / "journal.sqlite"
        with SessionJournal(path) as journal:
            session = journal.begin(planned(folder, journal))
        ended = killed(path, folder, step)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        left = {name: sum_ for name, sum_ in contents(folder).items() if not name.startswith(".")}
        assert set(originals.values()) <= set(left.values()), f"lost at step {step}"
        with SessionJournal(path) as journal:
            found = journal.unfinished(folder)
            assert found is not None and found.id == session.id
            rename_files(journal, found)
            assert_all_named(folder, journal, session)
        step += 1
    assert step == int(ended.stdout) > 8 * COUNT


def test_a_file_of_the_new_name_is_never_overwritten(
    folder: Path, journal: SessionJournal, session: JournalSession
) -> None:
    for index in (0, 2):  # the image, the metadata
        other = folder / files(journal, session)[index].new_name
        other.write_bytes(b"of another")
        before = contents(folder)
        with pytest.raises(NameInUse, match=other.name):
            rename_files(journal, session)
        assert other.read_bytes() == b"of another"
        if index == 0:
            assert contents(folder) == before, "something was renamed before all was looked at"
        other.unlink()
        if index == 0:
            continue
        rename_files(journal, session)
    assert_all_named(folder, journal, session)


def test_a_file_that_is_missing_is_named_before_the_first_change(
    folder: Path, journal: SessionJournal, session: JournalSession
) -> None:
    (folder / "DSCF0002.RAF").rename(folder / "elsewhere")
    before = contents(folder)
    with pytest.raises(FileGone, match=r"DSCF0002\.RAF: it is not there"):
        rename_files(journal, session)
    assert contents(folder) == before
    (folder / "elsewhere").rename(folder / "DSCF0002.RAF")
    rename_files(journal, session)
    assert_all_named(folder, journal, session)


def test_a_file_that_changed_since_the_plan_is_refused_before_the_first_change(
    folder: Path, journal: SessionJournal, session: JournalSession
) -> None:
    set_file_time(folder / "DSCF0002.tif", NOW)
    before = contents(folder)
    with pytest.raises(FileChanged, match=r"DSCF0002\.tif: it was changed after"):
        rename_files(journal, session)
    assert contents(folder) == before


def test_a_file_that_changed_after_it_was_named_is_noticed(
    folder: Path, journal: SessionJournal, session: JournalSession
) -> None:
    rename_files(journal, session)
    found = files(journal, session)
    (folder / found[0].new_name).write_bytes(b"another")
    with pytest.raises(FileChanged, match=found[0].new_name):
        check_unchanged(folder, found)
    (folder / found[0].new_name).unlink()
    with pytest.raises(FileGone, match=r"DSCF0001\.tif"):
        check_unchanged(folder, found)


def test_a_new_photograph_under_an_old_name_waits_for_the_next_session(
    folder: Path, journal: SessionJournal, session: JournalSession
) -> None:
    rename_files(journal, session)
    new = camera_image(folder / "DSCF0001.tif", 77)
    rename_files(journal, journal.session(session.id))
    assert new.is_file()
    new.unlink()
    assert_all_named(folder, journal, session)


def test_what_the_journal_says_of_a_lost_rename_is_put_right(
    folder: Path, journal: SessionJournal, session: JournalSession
) -> None:
    rename_files(journal, session)
    image, _, metadata = files(journal, session)[:3]
    (folder / image.new_name).rename(folder / image.original_name)  # as after a loss of power
    (folder / metadata.new_name).unlink()
    rename_files(journal, journal.session(session.id))
    assert_all_named(folder, journal, session)


def test_a_disk_that_refuses_is_named(
    journal: SessionJournal, session: JournalSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(renaming, "sync_folder", refusing)
    with pytest.raises(Exception, match="the disk reports: Input/output error; try again"):
        rename_files(journal, session)


@pytest.mark.parametrize("image", [".tif", ".TIFF", ".jpg", ".JPEG"])
def test_ingest_takes_what_it_leaves(tmp_path: Path, journal: SessionJournal, image: str) -> None:
    folder = camera_session(tmp_path / "b", COUNT, image=image)
    session = journal.begin(planned(folder, journal))
    rename_files(journal, session)
    listing = list_session(folder)
    assert is_session_name(session.name)
    assert len(listing.items) == COUNT
    assert not (listing.unpaired or listing.others or listing.refused or listing.nested)
    for base, pair in listing.items.items():
        assert pair.json is not None
        arrived = read_document(pair.json.path.read_bytes())
        assert arrived.metadata.asset_guid == base and not arrived.warnings
        (master,) = pair.images_of(arrived.metadata.file_format)
        assert master.path.suffix == image.lower()
        inspect_image(master.path)
