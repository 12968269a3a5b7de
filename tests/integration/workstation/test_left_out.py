"""A session ends without the specimens that something is wrong with, when that is wanted."""

import os
from pathlib import Path

from tests.support.clients import Client, on_drive
from workstation.ingest.report import IngestResult
from workstation.journal.records import FileState, FolderState, JournalFile
from workstation.watching import IngestPhase


def of_guid(client: Client, guid: str) -> list[JournalFile]:
    return [file for file in client.files() if file.guid == guid]


def spoil(client: Client) -> str:
    """Change the first image under its new name; its guid."""
    (file, *_) = (each for each in client.files() if each.kind == "image")
    path = client.folder / file.new_name
    path.write_bytes(path.read_bytes() + b"!")
    return file.guid


def assert_left_out(client: Client, drive: Path, guid: str) -> None:
    """Its files are all here, nothing of it is there, and the others are there and gone here."""
    (session, *_) = client.sessions()
    assert session.state == FolderState.ENDED
    assert {file.state for file in of_guid(client, guid)} == {FileState.LEFT_OUT}
    assert {Path(name).stem for name in client.local()} == {guid}
    others = {
        f"{session.name}/{file.new_name}"
        for file in client.files()
        if file.is_sent and file.guid != guid
    }
    assert on_drive(drive).keys() == others | {f"{session.name}/.complete"}


def test_what_was_changed_meanwhile_stays_here_and_what_the_server_has_of_it_is_taken_back(
    client: Client, drive: Path
) -> None:
    guids: list[str] = []
    client.seen.on_begin[IngestPhase.SEND] = lambda: guids.append(spoil(client))
    report = client.ingest()
    assert report.result == IngestResult.PROBLEMS
    assert any(name.endswith(f"{guids[0]}.json") for name in on_drive(drive)), "it is there"
    report = client.ingest(without_failed=True)
    assert report.result == IngestResult.DONE, report.text()
    assert len(report.kept) == 3 and all("changed" in each.what for each in report.kept)
    assert_left_out(client, drive, guids[0])


def test_what_is_gone_before_it_is_named_does_not_hold_the_others(
    client: Client, drive: Path
) -> None:
    raw = client.folder / "DSCF0002.RAF"
    client.seen.on_begin[IngestPhase.RENAME] = lambda: os.remove(raw)
    assert client.ingest().result == IngestResult.PROBLEMS
    report = client.ingest(without_failed=True)
    assert report.result == IngestResult.DONE, report.text()
    assert list(client.local()) == ["DSCF0002.tif"], "it has its own name still"
    assert {file.state for file in client.files()} == {FileState.DELETED, FileState.LEFT_OUT}
    assert len(on_drive(drive)) == 5


def test_a_session_of_which_everything_is_wrong_ends_and_deletes_nothing(
    client: Client, drive: Path
) -> None:
    def spoil_all() -> None:
        for file in client.files():
            if file.kind == "image":
                (client.folder / file.new_name).write_bytes(b"another")

    client.seen.on_begin[IngestPhase.SEND] = spoil_all
    report = client.ingest(without_failed=True)
    assert report.result == IngestResult.DONE and report.deleted == 0
    assert len(client.local()) == 9 and on_drive(drive) == {}
    assert client.sessions()[0].state == FolderState.ENDED


def test_unless_it_is_wanted_nothing_is_left_out(client: Client, drive: Path) -> None:
    client.seen.on_begin[IngestPhase.SEND] = lambda: spoil(client)
    client.ingest()
    assert client.ingest().result == IngestResult.PROBLEMS
    assert len(client.local()) == 9 and client.sessions()[0].state == FolderState.RENAMED
