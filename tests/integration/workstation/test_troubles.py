"""What goes wrong between a workstation and the real upload API, and what comes of it."""

import logging
import shutil
import types
from pathlib import Path
from typing import Any

import psycopg
import pytest

from api.workstations import folders, logins, receiving, tus
from api.workstations.app import WorkstationApi
from schemas.uploads import SentFile, StoredFile
from tests.support.camera import camera_image
from tests.support.clients import Client, assert_all_is_there, on_drive, sha256
from tests.support.delay_proxy import running_proxy
from workstation.ingest.report import IngestReport, IngestResult
from workstation.journal.records import FileState, FolderState, JournalFile
from workstation.server import answers
from workstation.server.calls import Server
from workstation.server.outbox import Outbox
from workstation.watching import IngestPhase


def images(client: Client) -> list[JournalFile]:
    return [file for file in client.files() if file.kind == "image"]


def assert_done(client: Client, drive: Path, report: IngestReport) -> None:
    assert report.result == IngestResult.DONE, report.text()
    assert client.local() == {}
    assert_all_is_there(client, drive)


def assert_untouched(client: Client) -> None:
    """Every file is here, and the session goes on."""
    assert len(client.local()) == 9
    assert client.sessions()[0].state == FolderState.RENAMED


def test_a_server_that_lies_about_a_checksum_is_not_believed_and_nothing_is_deleted(
    client: Client,
    drive: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    real, lies = tus.confirmed, []

    async def lying(here: Any, upload: Any) -> StoredFile:
        said = await real(here, upload)
        if lies or not said.name.endswith(".tif"):
            return said
        lies.append(said.name)
        return said.model_copy(update={"sha256": "0" * 64})

    monkeypatch.setattr(tus, "confirmed", lying)
    with caplog.at_level(logging.WARNING, "api.workstations.problems"):
        report = client.ingest()
    assert report.result == IngestResult.PROBLEMS and len(lies) == 1
    (problem,) = report.problems
    assert problem.file.name == lies[0] and "0" * 64 in problem.what
    assert_untouched(client)
    assert {file.state for file in client.files() if file.new_name == lies[0]} == {FileState.STORED}
    assert "false_confirmation" in caplog.text, "the server's people are told"
    assert Outbox(client.places.outbox).waiting() == []
    assert_done(client, drive, client.ingest())


def test_a_login_that_ends_while_files_are_sent_is_asked_for_and_the_next_run_goes_on(
    client: Client, drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ended = logins.LoginTokens.read, []

    def reading(self: logins.LoginTokens, token: str) -> Any:
        if ended:
            raise logins.LoginExpired("the login has ended: log in again")
        return real(self, token)

    monkeypatch.setattr(logins.LoginTokens, "read", reading)
    client.seen.on_begin[IngestPhase.SEND] = lambda: setattr(
        client.seen, "on_move", lambda *_: ended.append(1)
    )
    report = client.ingest(at_once=1)
    assert report.result == IngestResult.COME_BACK and report.needs_login
    assert "log in again" in report.why
    assert_untouched(client)
    ended.clear()
    client.seen.on_move = lambda *_: None
    assert_done(client, drive, client.ingest())


def test_a_name_that_is_anothers_is_a_problem_of_its_specimen_and_the_others_are_sent(
    client: Client,
) -> None:
    other = client.root / "other.tif"
    other.write_bytes(b"another content")
    taken: list[str] = []

    def take() -> None:
        with Server(client.url) as server:
            server.log_in(client.user, client.password)
            name = images(client)[1].new_name
            content = other.read_bytes()
            sent = SentFile(name=name, size_bytes=len(content), sha256=sha256(other))
            place = server.begin_file(client.workstation, "another session", sent)
            assert server.send(place, len(content), [content]) == len(content)
            taken.append(name)

    client.seen.on_begin[IngestPhase.SEND] = take
    report = client.ingest()
    assert report.result == IngestResult.PROBLEMS
    (problem,) = report.problems
    assert problem.file.name == taken[0] and "another content" in problem.what
    assert report.confirmed == report.files - 1
    assert_untouched(client)


def test_what_the_drive_lost_after_it_was_confirmed_is_sent_again(
    client: Client, drive: Path
) -> None:
    def lose() -> None:
        (lost, *_) = drive.rglob("*.tif")
        lost.unlink()

    client.seen.on_begin[IngestPhase.END] = lose
    assert_done(client, drive, client.ingest())


def test_a_full_drive_is_waited_for_and_told_of(
    client: Client, drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [True]
    real = shutil.disk_usage

    def usage(path: Path) -> Any:
        return types.SimpleNamespace(free=0) if full else real(path)

    monkeypatch.setattr(folders.shutil, "disk_usage", usage)
    monkeypatch.setattr(answers, "LONGEST_WAIT_S", 0.2)
    client.seen.on_note = lambda _: full.clear()
    report = client.ingest()
    assert any(
        "the N-Drive is full" in each and "tried again" in each for each in client.seen.texts
    )
    assert_done(client, drive, report)


def test_a_file_changed_before_it_is_sent_is_named_and_the_others_are_sent(client: Client) -> None:
    def change() -> None:
        path = client.folder / images(client)[0].new_name
        path.write_bytes(path.read_bytes() + b"!")

    client.seen.on_begin[IngestPhase.SEND] = change
    report = client.ingest()
    assert report.result == IngestResult.PROBLEMS and report.confirmed == 5
    (problem,) = report.problems
    assert problem.file.name == images(client)[0].new_name and "changed" in problem.what
    assert_untouched(client)


def test_a_file_changed_while_it_is_sent_is_not_taken_for_sent(client: Client) -> None:
    camera_image(client.folder / "DSCF0001.tif", 1, size=(1200, 1000))

    def change(file: str, done: int, size: int) -> None:
        path = client.folder / file
        if 0 < done < size and path.stat().st_size == size:
            with path.open("ab") as stream:
                stream.write(b"!")

    client.seen.on_begin[IngestPhase.SEND] = lambda: setattr(client.seen, "on_move", change)
    report = client.ingest()
    (problem,) = report.problems
    assert "changed" in problem.what
    assert_untouched(client)


def test_what_is_changed_before_its_deletion_is_kept_and_named(client: Client, drive: Path) -> None:
    raws: list[str] = []

    def change() -> None:
        file = next(file for file in client.files() if file.kind == "raw")
        (client.folder / file.new_name).write_bytes(b"another")
        raws.append(file.new_name)

    client.seen.on_begin[IngestPhase.DELETE] = change
    report = client.ingest()
    assert report.result == IngestResult.DONE
    assert list(client.local()) == raws == [each.file.name for each in report.kept]
    assert len(report.deleted_raws) == 2
    assert_all_is_there(client, drive)


def test_a_file_in_use_is_a_problem_and_is_deleted_by_the_next_run(
    client: Client, drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, used = Path.unlink, []

    def unlink(self: Path, missing_ok: bool = False) -> None:
        if self.suffix == ".raf" and self.parent == client.folder and not used:
            used.append(self.name)
            raise PermissionError(13, "it is open in another program")
        real(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    report = client.ingest()
    assert report.result == IngestResult.PROBLEMS and list(client.local()) == used
    assert "another program" in report.problems[0].what
    report = client.ingest()
    assert len(report.deleted_raws) == 3, "those of the earlier run are told of, too"
    assert_done(client, drive, report)


def test_a_folder_that_is_gone_does_not_count_as_deleted(client: Client, drive: Path) -> None:
    away = client.root / "taken out"
    client.seen.on_begin[IngestPhase.DELETE] = lambda: client.folder.rename(away)
    report = client.ingest()
    assert report.result == IngestResult.PROBLEMS and report.deleted == 0
    away.rename(client.folder)
    assert_done(client, drive, client.ingest())


def test_a_pulled_cable_costs_what_was_on_its_way_and_no_more(client: Client, drive: Path) -> None:
    image = camera_image(client.folder / "DSCF0001.tif", 1, size=(2000, 1500))
    size = image.stat().st_size
    port = int(client.url.rpartition(":")[2])
    with running_proxy(port) as proxy:
        client.url = f"http://127.0.0.1:{proxy.port}"

        def pull(_: str, done: int, whole: int) -> None:
            if whole == size and done and not proxy.cuts and proxy.cut_after is None:
                proxy.cut_after = 4_000_000

        client.seen.on_move = pull
        report = client.ingest(at_once=1)
    assert proxy.cuts == 1
    assert any("the server is away" in each for each in client.seen.texts)
    assert proxy.sent < 1.5 * size, "what had arrived is not sent again"
    assert_done(client, drive, report)


def test_a_server_that_stays_away_ends_the_run_which_is_gone_on_with_later(
    client: Client, drive: Path
) -> None:
    port = int(client.url.rpartition(":")[2])
    direct = client.url
    with running_proxy(port) as proxy:
        client.url = f"http://127.0.0.1:{proxy.port}"

        def vanish() -> None:
            proxy.refusing = True
            proxy.cut()

        client.seen.on_begin[IngestPhase.CONFIRM] = vanish
        report = client.ingest(give_up_after_s=0.5)
    assert report.result == IngestResult.COME_BACK and "nothing has moved" in report.why
    assert_untouched(client)
    assert len(Outbox(client.places.outbox).waiting()) == 1, "it is told later"
    client.url = direct
    assert_done(client, drive, client.ingest())
    assert Outbox(client.places.outbox).waiting() == []


@pytest.mark.parametrize("times", [1, 9])
def test_what_arrives_as_another_is_sent_once_more_and_then_is_a_problem(
    client: Client, drive: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    real, harmed = receiving.ArrivingFile.append, []

    def append(self: receiving.ArrivingFile, piece: bytearray) -> None:
        if bytes(piece).startswith(b"II*") and len(harmed) < times:
            harmed.append(1)
            piece[-1] ^= 1
        real(self, piece)

    monkeypatch.setattr(receiving.ArrivingFile, "append", append)
    report = client.ingest(at_once=1)
    assert any("it is sent once more" in each for each in client.seen.texts)
    if times == 1:
        assert_done(client, drive, report)
    else:
        assert report.result == IngestResult.PROBLEMS and len(report.problems) == 3
        assert len(harmed) == 6, "each of three images was sent twice"
        assert_untouched(client)


def test_what_the_drive_lost_before_it_was_read_back_is_sent_again(
    client: Client, drive: Path
) -> None:
    def rot() -> None:
        (path, *_) = drive.rglob("*.tif")
        path.write_bytes(path.read_bytes()[:-1] + b"!")

    client.seen.on_begin[IngestPhase.CONFIRM] = rot
    assert_done(client, drive, client.ingest())
    assert client.seen.phases.count(IngestPhase.SEND) == 2


def test_what_the_server_forgot_before_the_end_is_sent_again(
    client: Client, drive: Path, config: WorkstationApi
) -> None:
    url = config.database_url.replace("+psycopg", "")

    def forget() -> None:
        with psycopg.connect(url) as connection:
            asked = "UPDATE track.upload SET ended_at = now() WHERE file_name = %s"
            assert connection.execute(asked, (images(client)[0].new_name,)).rowcount == 1

    client.seen.on_begin[IngestPhase.END] = forget
    assert_done(client, drive, client.ingest())


def test_stopped_by_a_person_it_comes_to_rest_and_goes_on_later(
    client: Client, drive: Path
) -> None:
    def stop(*_: object) -> None:
        assert client.running is not None
        client.running.stop()

    client.seen.on_begin[IngestPhase.SEND] = lambda: setattr(client.seen, "on_move", stop)
    report = client.ingest(at_once=1)
    assert report.result == IngestResult.COME_BACK and report.confirmed == 0
    assert_untouched(client)
    client.seen.on_move = lambda *_: None
    assert_done(client, drive, client.ingest())


def test_asked_to_keep_everything_a_later_run_without_that_keeps_it_too(
    client: Client, drive: Path
) -> None:
    def stop() -> None:
        assert client.running is not None
        client.running.stop()

    client.seen.on_begin[IngestPhase.CONFIRM] = stop
    assert client.ingest(keep=True).result == IngestResult.COME_BACK
    report = client.ingest()
    assert report.result == IngestResult.DONE and len(client.local()) == 9
    assert len(on_drive(drive)) == 7
