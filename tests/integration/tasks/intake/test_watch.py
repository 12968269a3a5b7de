"""The watch on real folders and a real database, with a clock that the test turns."""

import asyncio
import json
import logging
import os
import threading
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ndrive import NDrive
from schemas.events import NAMESPACE, SESSION_READY
from tasks.errors import SourceVanished
from tasks.files.mounts import MOUNTS
from tasks.files.ndrive import OutsideDrive, close_folder
from tasks.intake import watched_folder
from tasks.intake.opening import NothingToTake, register_folder
from tasks.intake.watch import DriveWatch, watch
from track.records.outbox import due
from track.records.sessions import open_session
from track.schema.database import make_engine, transact
from track.schema.tables import session

N = 10.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def document(guid: str, file_format: str) -> str:
    """Metadata that names a format."""
    fields = {"asset_guid": guid, "file_format": file_format, "institution": "NHMD"}
    where = {"collection": "c", "pipeline_name": "P", "workstation_name": "WORKHERB0001"}
    return json.dumps(fields | where)


class World:
    """A drive, a watcher of it, and what came of it."""

    def __init__(self, root: Path, engine: AsyncEngine, *workstations: str) -> None:
        self.engine, self.clock = engine, Clock()
        names = list(workstations) or ["WORKHERB0001"]
        self.drive = NDrive(root=root, workstations=names, settle_seconds=N, poll_seconds=1)
        self.restart()

    def restart(self) -> None:
        self.drive_watch = DriveWatch(self.drive, self.engine, clock=self.clock)

    def drop(self, folder: str, *names: str, workstation: str = "WORKHERB0001") -> Path:
        path = self.drive.root / workstation / folder
        path.mkdir(parents=True, exist_ok=True)
        for name in names:
            (path / name).write_text(name)
        return path

    async def look(self, after: float = 0) -> None:
        self.clock.now += after
        await self.drive_watch.look()

    async def rows(self) -> list[Any]:
        async with self.engine.connect() as connection:
            return list(await connection.execute(select(session).order_by(session.c.opened_at)))

    async def events(self) -> list[dict[str, Any]]:
        """What Prefect is to be told."""
        return [each.event for each in await transact(self.engine, due, 100)]


@pytest.fixture
def world(tmp_path: Path, engine: AsyncEngine) -> World:
    root = tmp_path / "N drive"
    (root / "WORKHERB0001").mkdir(parents=True)
    return World(root, engine)


async def test_a_settled_folder_becomes_one_session_and_one_event(world: World) -> None:
    path = world.drop("2026-11-21 æøå", "a.json", "a.tif", "b.json", "b.TIFF")
    await world.look()
    await world.look(after=N - 1)
    assert await world.rows() == []
    await world.look(after=1)
    [row] = await world.rows()
    assert (row.path, row.workstation) == (str(path.resolve()), "WORKHERB0001")
    [event] = await world.events()
    assert event["event"] == SESSION_READY
    assert event["resource"] == {"prefect.resource.id": f"specimen.session.{row.id}"}
    assert event["payload"] == {
        "session": str(row.id),
        "path": row.path,
        "workstation": "WORKHERB0001",
    }
    for _ in range(3):
        await world.look(after=N)
    world.restart()
    await world.look()
    await world.look(after=N)
    assert len(await world.rows()) == len(await world.events()) == 1


async def test_a_folder_still_being_written_is_not_taken(world: World) -> None:
    path = world.drop("s", "a.json", "a.tif") / "a.tif"
    stop = threading.Event()

    def write() -> None:
        with path.open("ab", buffering=0) as stream:
            while not stop.is_set():
                stream.write(b"more")

    async def grown() -> None:
        before = path.stat().st_size
        async with asyncio.timeout(60):
            while path.stat().st_size == before:
                await asyncio.sleep(0.001)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(8):
            await grown()
            await world.look(after=N)
        assert await world.rows() == []
    finally:
        stop.set()
        writer.join()
    await world.look()
    await world.look(after=N)
    assert len(await world.rows()) == 1


async def test_an_unpaired_file_waits_ten_times_longer(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.drop("s", "a.json", "a.tif", "lonely.json")
    await world.look()
    await world.look(after=10 * N - 1)
    assert await world.rows() == []
    await world.look(after=1)
    assert len(await world.rows()) == 1
    assert "without a partner for lonely" in caplog.text


async def test_a_partner_that_comes_late_ends_the_long_wait(world: World) -> None:
    world.drop("s", "a.json")
    await world.look()
    await world.look(after=5 * N)
    world.drop("s", "a.tif")
    await world.look()
    await world.look(after=N)
    assert len(await world.rows()) == 1


async def test_a_preview_does_not_end_the_wait_for_the_image_that_the_metadata_names(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Taken after N seconds, the JPEG was archived as the master, and the TIFF came in vain."""
    path = world.drop("s", "a.jpg", "b.jpg")
    for base, file_format in (("a", "TIF"), ("b", "JPEG")):
        (path / f"{base}.json").write_text(document(base, file_format))
    await world.look()
    await world.look(after=9 * N)
    assert await world.rows() == []
    world.drop("s", "a.tif")
    await world.look()
    await world.look(after=N)
    assert len(await world.rows()) == 1
    (path / "a.tif").unlink()
    await world.look()
    await world.look(after=10 * N)
    assert len(await world.rows()) == 2
    assert "without a partner for a (its metadata names TIF)" in caplog.text


async def test_metadata_is_read_once_however_often_a_folder_is_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = watched_folder.document_content

    def counted(stop: threading.Event, path: Path) -> bytes:
        read.append(path.name)
        return real(stop, path)

    monkeypatch.setattr(watched_folder, "document_content", counted)
    path = world.drop("s", "a.jpg", "b.json", "b.tif")
    (path / "a.json").write_text(document("a", "TIF"))
    for _ in range(5):
        await world.look(after=N)
    assert sorted(read) == ["a.json", "b.json"]
    (path / "b.json").write_text("another one")
    for _ in range(3):
        await world.look(after=N)
    assert sorted(read) == ["a.json", "b.json", "b.json"]


@pytest.mark.parametrize("temporary", [".b.tif.Ab12Cd", "~syncthing~b.tif.tmp", ".~tmp~/b.tif"])
async def test_a_copy_under_way_is_waited_for_whatever_its_program_calls_it(
    world: World, temporary: str
) -> None:
    path = world.drop("s", "a.json", "a.tif")
    growing = path / temporary
    growing.parent.mkdir(exist_ok=True)
    for size in range(4):
        growing.write_bytes(bytes(size))
        await world.look(after=4 * N)
    assert await world.rows() == []
    growing.rename(path / "b.tif")
    world.drop("s", "b.json")
    await world.look()
    await world.look(after=N)
    assert len(await world.rows()) == 1


async def test_notes_alone_are_no_session_and_what_is_odd_is_said_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.drop("notes", "README.txt", "md5sum.txt")
    world.drop("s", "A1.json", "a1.tif", "README.txt", "md5sum.txt")
    for _ in range(3):
        await world.look(after=N)
    [row] = await world.rows()
    assert Path(row.path).name == "s"
    said = "README.txt: neither metadata nor an image, left alone"
    assert caplog.text.count(f"/s: {said}") == 1
    assert caplog.text.count("metadata and image of A1 differ in case and are taken as one") == 1


async def test_a_mount_that_hangs_stops_the_watch_for_no_other_workstation(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One share whose server was gone stopped the watch for all of them, without a word."""
    caplog.set_level(logging.INFO)
    root, answers, asked = world.drive.root, threading.Event(), list[str]()
    names = ["GONE", "WORKHERB0001"]
    world.drive = NDrive(root=root, workstations=names, settle_seconds=N, poll_seconds=1)
    world.restart()
    hung = world.drop("h", "a.json", "a.tif", workstation="GONE").parent
    world.drop("s", "b.json", "b.tif")
    real = os.scandir

    def scandir(path: Any) -> Any:
        if path == hung and not answers.is_set():
            asked.append(threading.current_thread().name)
            answers.wait(120)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(MOUNTS, "answer_s", 0.5)
    try:
        for _ in range(4):
            await world.look(after=N)
        assert [Path(row.path).name for row in await world.rows()] == ["s"]
        assert caplog.text.count("GONE: it has not answered for 0.5 seconds; check the mount") == 1
        assert len(asked) == 1, "one thread hangs, and no more"
    finally:
        answers.set()
    async with asyncio.timeout(120):
        while len(await world.rows()) < 2:
            await world.look(after=N)
    assert "GONE: no longer a problem" in caplog.text


async def test_an_upload_under_a_temporary_name_is_waited_for(world: World) -> None:
    path = world.drop("s", "a.json", "a.tif", "b.tif.part")
    await world.look()
    await world.look(after=2 * N)
    assert await world.rows() == []
    (path / "b.tif.part").rename(path / "b.tif")
    world.drop("s", "b.json")
    await world.look()
    await world.look(after=N)
    assert len(await world.rows()) == 1


async def test_the_mark_of_the_upload_ends_all_waiting(world: World) -> None:
    path = world.drop("s", "a.json", "a.tif")
    (path / ".complete").write_text('{"files": 2}')
    await world.look()
    assert len(await world.events()) == 1


async def test_a_folder_name_used_again_is_a_new_session(world: World) -> None:
    path = world.drop("s", "a.json", "a.tif")
    await world.look()
    await world.look(after=N)
    close_folder(path, "imported_")
    await world.look(after=N)
    world.drop("s", "b.json", "b.tif")
    await world.look()
    await world.look(after=N)
    first, second = await world.rows()
    assert first.opened_as == second.opened_as
    assert first.id != second.id
    assert len({event["id"] for event in await world.events()}) == 2


async def test_a_corrected_file_dropped_into_the_folder_opens_it_again(world: World) -> None:
    path = world.drop("s", "a.json", "a.tif")
    await world.look()
    await world.look(after=N)
    (path / "a.tif").write_text("the corrected image")
    await world.look()
    await world.look(after=N)
    assert len(await world.rows()) == 2


async def test_closed_unfinished_and_hidden_folders_are_no_sessions(world: World) -> None:
    for name in ("imported_s", "error_s", "new_s", ".s", "empty"):
        world.drop(name, *([] if name == "empty" else ["a.json", "a.tif"]))
    world.drop("strangers", "Thumbs.db", "QUARANTINE.txt")
    (world.drive.root / "WORKHERB0001" / "file.json").write_text("{}")
    await world.look()
    await world.look(after=20 * N)
    assert await world.rows() == []


async def test_only_approved_workstations_are_watched(world: World) -> None:
    world.drop("s", "a.json", "a.tif", workstation="PRIVATE")
    await world.look()
    await world.look(after=N)
    assert await world.rows() == []
    world.drive = NDrive(root=world.drive.root, workstations=["*"], settle_seconds=N)
    world.restart()
    await world.look()
    await world.look(after=N)
    assert [row.workstation for row in await world.rows()] == ["PRIVATE"]


async def test_a_session_that_was_not_committed_is_told_of_to_nobody(world: World) -> None:
    fields = {"path": "/n/W/s", "workstation": "W", "listing_hash": "h", "actor": "watch"}
    async with world.engine.connect() as connection:
        assert await open_session(connection, **fields) is not None
        await connection.rollback()
    assert await world.rows() == await world.events() == []
    opened = await transact(world.engine, open_session, **fields)
    assert await transact(world.engine, open_session, **fields) is None
    [event] = await world.events()
    assert event["id"] == str(uuid5(NAMESPACE, f"{opened}/{SESSION_READY}"))


async def test_a_mount_that_goes_away_is_said_once_and_survived(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world.drop("s", "a.json", "a.tif")
    await world.look()
    away = world.drive.root.with_name("away")
    world.drive.root.rename(away)
    for _ in range(3):
        await world.look(after=N)
    assert caplog.text.count("cannot be found") == 1
    away.rename(world.drive.root)
    await world.look()
    assert "no longer a problem" in caplog.text
    assert await world.rows() == []
    await world.look(after=N)
    assert len(await world.rows()) == 1


async def test_a_missing_workstation_and_an_unreadable_folder_do_not_stop_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    root = world.drive.root
    world.drive = NDrive(
        root=root, workstations=["GONE", "AFILE", "WORKHERB0001"], settle_seconds=N
    )
    world.restart()
    (root / "AFILE").write_text("a file where a folder should be")
    world.drop("s", "a.json", "a.tif")
    for _ in range(3):
        await world.look(after=N)
    assert len(await world.rows()) == 1
    assert caplog.text.count("GONE") == 1
    assert caplog.text.count("AFILE") == 1


async def test_links_broken_or_leading_out_are_left_alone(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "x.json").write_text("{}")
    workstation = world.drive.root / "WORKHERB0001"
    (workstation / "broken").symlink_to(workstation / "nowhere")
    (workstation / "out").symlink_to(secret)
    (world.drive.root / "LINKED").symlink_to(secret)
    path = world.drop("s", "a.json", "a.tif")
    (path / "b.tif").symlink_to(path / "nowhere.tif")
    world.drive = NDrive(root=world.drive.root, workstations=["*", "LINKED"], settle_seconds=N)
    world.restart()
    for _ in range(3):
        await world.look(after=N)
    [row] = await world.rows()
    assert row.path == str(path.resolve())
    assert "is a link" in caplog.text
    assert "b.tif" in caplog.text


async def test_a_folder_that_vanishes_between_two_looks_is_fine(world: World) -> None:
    path = world.drop("s", "a.json", "a.tif")
    await world.look()
    path.rename(path.with_name(".elsewhere"))
    await world.look(after=N)
    path.with_name(".elsewhere").rename(path)
    await world.look(after=1)
    assert await world.rows() == []
    await world.look(after=N)
    assert len(await world.rows()) == 1


async def test_a_database_that_does_not_answer_is_asked_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.drop("s", "a.json", "a.tif")
    good, dead = world.engine, make_engine("postgresql+psycopg://x:x@127.0.0.1:1/none")
    world.drive_watch.engine = dead
    await world.look()
    await world.look(after=N)
    await world.look(after=1)
    assert caplog.text.count("the database did not answer") == 1
    await dead.dispose()
    world.drive_watch.engine = good
    await world.look(after=1)
    assert len(await world.rows()) == 1


async def test_one_folder_can_be_taken_now_from_anywhere_on_the_drive(world: World) -> None:
    path = world.drop("2026/Besøg 1", "a.json", "a.tif", workstation="ARCHIVE")

    async def take(folder: Path) -> UUID | None:
        return await register_folder(world.engine, world.drive, folder, actor="operator")

    opened = await take(path)
    [row] = await world.rows()
    assert (opened, row.workstation) == (row.id, "ARCHIVE")
    assert row.path == str(path.resolve())
    assert await take(path.relative_to(world.drive.root)) is None
    assert len(await world.events()) == 1


async def test_a_folder_off_the_drive_missing_or_empty_is_refused_by_name(
    world: World, tmp_path: Path
) -> None:
    async def take(folder: Path) -> None:
        await register_folder(world.engine, world.drive, folder, actor="operator")

    (tmp_path / "off").mkdir()
    for folder in (tmp_path / "off", Path("../off"), world.drive.root / "WORKHERB0001/../../off"):
        with pytest.raises(OutsideDrive):
            await take(folder)
    with pytest.raises(SourceVanished):
        await take(Path("WORKHERB0001/none"))
    with pytest.raises(NothingToTake):
        await take(world.drop("empty"))
    assert await world.rows() == []


async def test_a_workstation_linked_within_the_drive_keeps_its_name(world: World) -> None:
    root = world.drive.root
    world.drop("s", "a.json", "a.tif", workstation="volume2/WORKPIOF0001")
    (root / "WORKPIOF0001").symlink_to(root / "volume2" / "WORKPIOF0001")
    world.drive = NDrive(root=root, workstations=["WORKPIOF0001"], settle_seconds=N)
    world.restart()
    await world.look()
    await world.look(after=N)
    [row] = await world.rows()
    assert row.workstation == "WORKPIOF0001"


async def test_the_watch_looks_again_and_again_until_it_is_cancelled(world: World) -> None:
    world.drop("s", "a.json", "a.tif")
    pauses = 0

    async def pause(seconds: float) -> None:
        nonlocal pauses
        assert seconds == 1
        pauses += 1
        world.clock.now += N
        if await world.events():
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(watch(world.drive, world.engine, clock=world.clock, pause=pause), 60)
    assert pauses == 2
