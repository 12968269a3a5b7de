"""A digitiser's folder goes to the real upload API, and is then deleted, and only then."""

from pathlib import Path

import pytest

from tests.support.camera import CHOICES, camera_session
from tests.support.clients import Client, assert_all_is_there, on_drive, options
from workstation.ingest.ingesting import Ingestion
from workstation.ingest.report import IngestResult
from workstation.journal.journal import SessionJournal
from workstation.journal.records import FolderState
from workstation.server.calls import Server, SessionDetail
from workstation.watching import IngestPhase


def test_a_session_is_sent_confirmed_ended_and_deleted(client: Client, drive: Path) -> None:
    report = client.ingest()
    assert report.result == IngestResult.DONE, report.text()
    assert (report.specimens, report.files, report.confirmed, report.deleted) == (3, 6, 6, 9)
    assert client.local() == {}
    assert_all_is_there(client, drive)
    assert client.sessions()[0].state == FolderState.ENDED
    wanted = list(IngestPhase)
    assert [phase for phase in client.seen.phases if phase in wanted] == [IngestPhase.SCAN, *wanted]


def test_the_report_names_each_deleted_raw_with_its_checksum(client: Client) -> None:
    raws = {name: sum_ for name, sum_ in client.local().items() if name.endswith(".RAF")}
    report = client.ingest()
    assert {raw.original_name: raw.sha256 for raw in report.deleted_raws} == raws
    assert not any(raw.was_uploaded for raw in report.deleted_raws)
    kept = sorted(client.places.reports.iterdir())
    assert [path.suffix for path in kept] == [".json", ".txt"]
    for path in kept:
        assert all(sum_ in path.read_text(encoding="utf-8") for sum_ in raws.values())


def test_raws_that_are_not_uploaded_are_asked_for_once_and_kept_when_declined(
    client: Client, drive: Path
) -> None:
    before = client.local()
    report = client.ingest(agree=False)
    assert report.result == IngestResult.DONE, report.text()
    (asked,) = client.asked
    assert (len(asked.sent), len(asked.raws), asked.raws_uploaded) == (6, 3, False)
    assert asked.raws_bytes == 3 * 4096
    raws = {sum_ for name, sum_ in before.items() if name.endswith(".RAF")}
    assert set(client.local().values()) == raws
    assert {each.file.suffix for each in report.kept} == {".raf"}
    assert_all_is_there(client, drive)
    camera_session(client.folder, 1, first=9)
    assert client.ingest().specimens == 1, "what an ended session kept is not sent again"


def test_uploaded_raws_are_on_the_drive_and_nobody_is_asked(client: Client, drive: Path) -> None:
    report = client.ingest(upload_raw=True)
    assert (report.confirmed, report.deleted) == (9, 9)
    assert client.asked == [] and client.local() == {}
    assert all(raw.was_uploaded for raw in report.deleted_raws) and len(report.deleted_raws) == 3
    assert_all_is_there(client, drive)


def test_asked_to_keep_everything_it_deletes_nothing_and_ends_the_session(
    client: Client, drive: Path
) -> None:
    report = client.ingest(keep=True)
    assert (report.result, report.deleted, len(report.kept)) == (IngestResult.DONE, 0, 9)
    assert len(client.local()) == 9 and client.asked == []
    assert_all_is_there(client, drive)


def test_a_plan_writes_nothing_here_or_there(client: Client, drive: Path) -> None:
    before = client.local()
    with SessionJournal(client.places.journal) as journal, Server(client.url) as server:
        server.log_in(client.user, client.password)
        run = Ingestion(client.places, server, journal, options(), client.seen)
        plan = run.plan(client.folder, CHOICES, server.values(client.workstation))
    assert len(plan.specimens) == 3 and not plan.stops
    assert client.local() == before and on_drive(drive) == {} and client.sessions() == []


def test_where_the_archive_decides_files_stay_until_it_has_their_specimens(
    client: Client, drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = client.ingest(delete_after="archived")
    assert report.result == IngestResult.WAITS_FOR_ARCHIVE, report.text()
    assert len(client.local()) == 9 and client.asked == []
    guids = sorted({file.guid for file in client.files()})
    real = Server.session

    def two_archived(self: Server, workstation: str, session: str) -> SessionDetail:
        found = real(self, workstation, session)
        assert {each.guid for each in found.specimen_list} == set(guids)
        changed = [
            each.model_copy(update={"state": "archived"}) if each.guid in guids[:2] else each
            for each in found.specimen_list
        ]
        return found.model_copy(update={"specimen_list": tuple(changed)})

    monkeypatch.setattr(Server, "session", two_archived)
    # The rule of the session counts, not that of the later run.
    report = client.ingest(delete_after="confirmed")
    assert report.result == IngestResult.WAITS_FOR_ARCHIVE and report.deleted == 6
    assert {name.partition(".")[0] for name in client.local()} == {guids[2]}
    assert_all_is_there(client, drive)
    guids.insert(0, guids.pop())
    assert client.ingest().result == IngestResult.DONE and client.local() == {}
