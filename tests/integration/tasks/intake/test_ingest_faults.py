"""Drives that go away, disks that fill up, files that are not what they should be.

Each is a clear word that names the file and what to do, and loses nothing: once it is put
right, the specimen goes its way.
"""

import errno
import json
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncConnection

from tasks.errors import DiskFull, FileError, PermissionDenied, Quarantined, SourceVanished
from tasks.files import copies
from tasks.intake import registration, replaced
from tasks.intake.folders import close_session_folder
from tasks.intake.readmission import readmit
from tests.support.museum import Museum
from tests.support.small_disk import small_disk
from track.commands import operations
from track.schema.database import transact


class Killed(BaseException):
    """The process dies here."""


@pytest.fixture
def full_soon(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte under the store."""
    with small_disk(tmp_path / "store", "1m") as place:
        yield place


async def test_an_unmounted_n_drive_is_waited_for_and_costs_nothing(museum: Museum) -> None:
    museum.drop("g")
    await museum.register()
    away = museum.dispatcher.drive.root.rename(museum.folder.parents[2] / "away")
    said = await museum.fails("g", SourceVanished)
    assert str(museum.folder) in said and "check that the drive is mounted" in said
    state, reason, tries, waits = await museum.job("g")
    assert (state, tries, waits) == ("ready", 0, True)
    assert reason is not None and "check that the drive is mounted" in reason
    away.rename(museum.dispatcher.drive.root)
    await museum.ingest("g")
    assert await museum.is_in("g")


async def test_a_drive_that_goes_away_while_a_session_is_registered_loses_no_specimen(
    museum: Museum, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as "cannot be read", it was once given no stage but ingest, and ended there."""
    museum.drop("g")
    document = museum.folder / "g.json"
    real, opened = os.open, []

    def unmounted(path: Any, *more: Any, **named: Any) -> int:
        if Path(path) == document and not opened:
            opened.append(path)
            raise OSError(errno.ESTALE, "Stale file handle")
        return real(path, *more, **named)

    monkeypatch.setattr(copies.os, "open", unmounted)
    with pytest.raises(SourceVanished, match=r"g\.json"):
        await museum.register()
    assert await museum.world.sql("SELECT guid FROM track.asset") == []
    await museum.register()
    await museum.ingest("g")
    assert await museum.world.states("g") == {"ingest": "done", "create": "ready"}


async def test_a_registration_killed_between_two_pages_goes_on_with_the_next_run(
    museum: Museum, monkeypatch: pytest.MonkeyPatch
) -> None:
    guids = [f"g{n}" for n in range(5)]
    for guid in guids:
        museum.drop(guid)
    real, pages = registration.register_assets, []

    async def killed(tx: AsyncConnection, session_id: Any, assets: Any, **given: Any) -> Any:
        pages.append([each.guid for each in assets])
        if len(pages) == 2:
            raise Killed
        return await real(tx, session_id, assets, **given)

    monkeypatch.setattr(registration, "PAGE", 2)
    monkeypatch.setattr(registration, "register_assets", killed)
    with pytest.raises(Killed):
        await museum.register()
    registered = "SELECT registered_at IS NULL, known FROM track.session"
    assert await museum.world.sql(registered) == [(True, [])]
    assert await museum.world.sql("SELECT count(*) FROM track.asset") == [(2,)]
    await museum.register()
    assert pages[2:] == [["g0", "g1"], ["g2", "g3"], ["g4"]]
    assert await museum.world.sql(registered) == [(False, [])]
    for guid in guids:
        assert await museum.world.states(guid) == {"ingest": "ready", "create": "waiting"}


async def test_what_could_not_be_read_at_first_is_not_left_half_way(museum: Museum) -> None:
    museum.drop("g")
    (museum.folder / "g.json").write_text("{broken")
    await museum.register()
    museum.drop("g")
    said = await museum.fails("g", Quarantined)
    assert said.startswith("g.json: ") and "drop metadata and image again" in said


async def test_a_folder_that_vanishes_under_the_copy_leaves_no_half_file(
    museum: Museum, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = museum.drop("g")
    await museum.register()
    kept = tmp_path / "kept"
    real = os.write

    def vanish(fd: int, data: Any) -> int:
        if museum.folder.is_dir():
            shutil.move(museum.folder, kept)
        return real(fd, data)

    monkeypatch.setattr(copies.os, "write", vanish)
    said = await museum.fails("g", SourceVanished)
    assert str(image) in said
    assert museum.stored("g") == []
    assert (await museum.job("g"))[0] == "ready"
    monkeypatch.undo()
    shutil.move(kept, museum.folder)
    await museum.ingest("g")
    assert await museum.is_in("g")


async def test_a_full_store_is_said_and_the_specimen_comes_in_once_there_is_room(
    museum: Museum, full_soon: Path
) -> None:
    museum.drop("g")
    await museum.register()
    ballast = full_soon / "ballast"
    ballast.write_bytes(bytes(600_000))
    said = await museum.fails("g", DiskFull)
    assert "g.tif" in said and "free space on that disk" in said
    assert (await museum.job("g"))[::2] == ("ready", 0)
    assert museum.stored("g") == []
    ballast.unlink()
    await museum.ingest("g")
    assert await museum.is_in("g")


async def test_a_store_that_fills_up_in_the_middle_of_a_copy_keeps_nothing_of_it(
    museum: Museum, full_soon: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others write to that disk too: what was free before the copy is gone during it."""
    museum.drop("g")
    await museum.register()
    (full_soon / "ballast").write_bytes(bytes(600_000))
    plenty = SimpleNamespace(free=1 << 40)
    monkeypatch.setattr(copies.shutil, "disk_usage", lambda _: plenty)
    said = await museum.fails("g", DiskFull)
    assert "g.tif" in said and "No space left on device" in said
    assert museum.stored("g") == []


def deny(museum: Museum, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Take away the right to read one file of the session."""
    real = os.open

    def denied(path: Any, *more: Any, **named: Any) -> int:
        if Path(path) == museum.folder / name:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *more, **named)

    monkeypatch.setattr(copies.os, "open", denied)


@pytest.mark.parametrize("name", ["g.json", "g.tif"])
async def test_a_file_that_may_not_be_read_is_said_and_waits_for_a_person(
    museum: Museum, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    museum.drop("g")
    await museum.register()
    deny(museum, monkeypatch, name)
    said = await museum.fails("g", PermissionDenied)
    assert name in said and "give the account that runs the refinery access" in said
    state, reason, _, _ = await museum.job("g")
    assert state == "failed" and reason is not None and name in reason


@pytest.mark.parametrize("at_first_sight", [True, False])
@pytest.mark.parametrize("name", ["g.json", "g.tif"])
async def test_a_file_that_may_be_read_in_the_end_is_taken_by_itself(
    museum: Museum, monkeypatch: pytest.MonkeyPatch, name: str, at_first_sight: bool
) -> None:
    museum.drop("g")
    museum.drop("h")
    if not at_first_sight:
        await museum.register()
    deny(museum, monkeypatch, name)
    if at_first_sight:
        await museum.register()
    await museum.fails("g", PermissionDenied)
    await museum.ingest("h")
    await close_session_folder(museum.dispatcher)
    engine, drive = museum.world.engine, museum.dispatcher.drive
    assert await readmit(engine, drive) == []
    monkeypatch.undo()
    assert await readmit(engine, drive) == ["g"]
    assert await readmit(engine, drive) == []
    await museum.ingest("g")
    assert await museum.world.sql(
        "SELECT p.name, s.key, j.state FROM track.job j JOIN track.stage s ON s.id = j.stage_id"
        " JOIN track.pipeline p ON p.id = s.pipeline_id"
        " WHERE asset_guid = 'g' AND j.state <> 'excluded' ORDER BY s.position"
    ) == [("P", "ingest", "done"), ("P", "create", "ready")]
    assert museum.stored("g") == ["g.tif"]
    await close_session_folder(museum.dispatcher)
    assert museum.folder.with_name("imported_" + museum.folder.name).is_dir()


async def test_what_fails_though_it_can_be_opened_is_tried_ever_more_seldom(
    museum: Museum,
) -> None:
    museum.drop("g")
    await museum.register()
    engine, drive = museum.world.engine, museum.dispatcher.drive

    async def fails_again() -> None:
        await museum.world.sql("UPDATE track.job SET state = 'failed' WHERE state = 'ready'")

    await fails_again()
    assert await readmit(engine, drive) == ["g"]
    await fails_again()
    assert await readmit(engine, drive) == []
    await museum.world.sql("UPDATE track.job SET updated_at = now() - interval '61 seconds'")
    assert await readmit(engine, drive) == ["g"]


async def test_broken_json_stays_in_quarantine_until_a_person_mends_it(museum: Museum) -> None:
    museum.drop("g")
    (museum.folder / "g.json").write_text("{broken")
    await museum.register()
    await museum.fails("g", Quarantined)
    assert await readmit(museum.world.engine, museum.dispatcher.drive) == []


async def test_the_same_guid_with_another_image_is_quarantined_and_overwrites_nothing(
    museum: Museum,
) -> None:
    first = museum.drop("g")
    await museum.register()
    place = museum.dispatcher.store.folder("g") / "g.tif"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"another specimen that was here first")
    said = await museum.fails("g", Quarantined)
    assert said.startswith("g.tif: it exists with another content than its source; find out which")
    assert place.read_bytes() == b"another specimen that was here first"
    await close_session_folder(museum.dispatcher)
    closed = museum.folder.with_name("error_" + museum.folder.name)
    note = (closed / "QUARANTINE.txt").read_text(encoding="utf-8")
    assert "to do:  find out which of the two is right and move the other away" in note
    assert (closed / first.name).is_file()


async def test_another_picture_under_a_known_guid_is_told_of_in_its_folder_and_left_alone(
    museum: Museum,
) -> None:
    image = museum.drop("g")
    Image.effect_noise((300, 200), 80).convert("RGB").save(image)
    first = image.read_bytes()
    await museum.register()
    await museum.ingest("g")
    await close_session_folder(museum.dispatcher)
    await museum.drop_anew("g", "h", into="session æ 2")
    await museum.ingest("h")
    await close_session_folder(museum.dispatcher)
    closed = museum.folder.with_name("imported_session æ 2")
    note = (closed / "QUARANTINE.txt").read_text(encoding="utf-8")
    assert "g.tif" in note and "h.tif" not in note
    assert f"taken in before as another file of {len(first)} bytes, from" in note
    assert "imported_session æ 1" in note and "under a guid of its own" in note
    assert (museum.dispatcher.store.folder("g") / "g.tif").read_bytes() == first
    assert sorted(each.name for each in closed.glob("g.*")) == ["g.json", "g.tif"]


async def test_a_folder_of_known_guids_only_is_closed_with_a_note(museum: Museum) -> None:
    image = museum.drop("g").read_bytes()
    await museum.register()
    await museum.ingest("g")
    await museum.drop_anew("g", into="session æ 2")
    state = (museum.folder / "g.tif").stat()
    (museum.folder / "g.tif").write_bytes(image)
    os.utime(museum.folder / "g.tif", ns=(state.st_atime_ns, state.st_mtime_ns))
    await close_session_folder(museum.dispatcher)
    note = (museum.folder.with_name("error_session æ 2") / "QUARANTINE.txt").read_text("utf-8")
    assert "this guid was taken in before, from" in note


def swap(image: Path, *, later: int = 5) -> None:
    """Put another picture of the same size in a picture's place, as a copying program does."""
    state, content = image.stat(), bytearray(image.read_bytes())
    content[-1000:] = bytes(255 - each for each in content[-1000:])
    other = image.with_name("other.tmp")
    other.write_bytes(content)
    other.replace(image)
    os.utime(image, (state.st_atime + later, state.st_mtime + later))
    assert image.stat().st_size == state.st_size


async def test_another_picture_of_the_same_size_in_a_folder_that_is_taken_in_is_told_of(
    museum: Museum,
) -> None:
    """It was passed over without a word, and its folder never closed."""
    image = museum.drop("g")
    first = image.read_bytes()
    await museum.drop_anew("h", into=museum.folder.name)
    await museum.ingest("g")
    swap(image)
    session = museum.world.session_id
    await museum.drop_anew(into=museum.folder.name)
    await close_session_folder(museum.dispatcher)
    assert museum.folder.is_dir(), "one specimen of it is not in yet"
    await museum.turn_to(session)
    await museum.ingest("h")
    await close_session_folder(museum.dispatcher)
    closed = museum.folder.with_name("imported_" + museum.folder.name)
    note = (closed / "QUARANTINE.txt").read_text(encoding="utf-8")
    assert "g.tif" in note and "h.tif" not in note
    assert "another file of the same name and size lies in the place" in note
    assert "under a guid of its own in a new folder" in note
    assert (museum.dispatcher.store.folder("g") / "g.tif").read_bytes() == first
    ((warning, what),) = await museum.world.sql(
        "SELECT j.warning, h.new FROM track.job j"
        " JOIN track.stage s ON s.id = j.stage_id AND s.key = 'ingest'"
        " JOIN track.history h ON h.asset_guid = j.asset_guid AND h.what = 'asset.replaced'"
        " WHERE j.asset_guid = 'g'"
    )
    assert str(warning).startswith("g.tif: another file") and str(what).startswith("g.tif: another")


async def test_metadata_written_anew_in_a_folder_that_is_taken_in_is_told_of(
    museum: Museum,
) -> None:
    museum.drop("g")
    await museum.drop_anew("h", into=museum.folder.name)
    await museum.ingest("g")
    document = json.loads((museum.folder / "g.json").read_text())
    (museum.folder / "g.json").write_text(json.dumps(document | {"digitiser": "Blixen, K."}))
    await museum.ingest("h")
    await museum.drop_anew(into=museum.folder.name)
    await close_session_folder(museum.dispatcher)
    closed = museum.folder.with_name("imported_" + museum.folder.name)
    note = (closed / "QUARANTINE.txt").read_text(encoding="utf-8")
    assert "written anew after it was taken in" in note and "resubmit" in note


async def test_a_file_put_back_as_it_was_is_read_once_and_not_told_of(
    museum: Museum, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that others come to is not read as a whole: only what has another time is."""
    image = museum.drop("g")
    await museum.drop_anew("h", into=museum.folder.name)
    await museum.ingest("g")
    await museum.ingest("h")
    state, read = image.stat(), list[str]()
    os.utime(image, (state.st_atime + 5, state.st_mtime + 5))
    checksum = replaced.checksum_file

    async def counted(path: Path) -> copies.Copied:
        read.append(path.name)
        return await checksum(path)

    monkeypatch.setattr(replaced, "checksum_file", counted)
    await museum.drop_anew("i", into=museum.folder.name)
    assert read == ["g.tif"]
    await museum.ingest("i")
    await museum.drop_anew("j", into=museum.folder.name)
    assert read == ["g.tif"], "it has been read, and is known by its time"
    await museum.ingest("j")
    await close_session_folder(museum.dispatcher)
    closed = museum.folder.with_name("imported_" + museum.folder.name)
    assert not (closed / "QUARANTINE.txt").exists()


@pytest.mark.parametrize("verb", [operations.skip, operations.cancel], ids=["skipped", "cancelled"])
async def test_an_ingest_that_a_person_ends_keeps_no_folder_open(
    museum: Museum, verb: Callable[..., Awaitable[object]]
) -> None:
    museum.drop("g")
    museum.drop("h")
    (museum.drop("broken").with_suffix(".json")).write_text("{", encoding="utf-8")
    await museum.register()
    await museum.ingest("g")
    with pytest.raises(Quarantined):
        await museum.ingest("broken")
    await close_session_folder(museum.dispatcher)
    assert museum.folder.is_dir(), "one is not decided yet"
    job_id = await museum.world.job_id("h", "ingest")
    await transact(museum.world.engine, verb, job_id, actor="operator:t", why="no")
    await close_session_folder(museum.dispatcher)
    closed = museum.folder.with_name(f"imported_{museum.folder.name}")
    note = (closed / "QUARANTINE.txt").read_text(encoding="utf-8")
    assert "broken.json" in note and "h.tif" not in note


async def test_files_that_join_a_folder_under_way_bring_no_note_for_the_others(
    museum: Museum,
) -> None:
    museum.drop("g")
    await museum.register()
    await museum.ingest("g")
    content = {path: path.read_bytes() for path in museum.folder.iterdir()}
    await museum.drop_anew("h", into=museum.folder.name)
    assert {path: path.read_bytes() for path in content} == content
    await museum.ingest("h")
    await close_session_folder(museum.dispatcher)
    closed = museum.folder.with_name(f"imported_{museum.folder.name}")
    assert closed.is_dir() and not (closed / "QUARANTINE.txt").exists()


@pytest.mark.parametrize(
    "guid", ["a b  c", "Ærø-ﬁ-漢字-e\u0301", "'; rm -rf $HOME #", "%2e%2e", "~x"]
)
async def test_spaces_unicode_and_a_shells_signs_are_names_like_others(
    museum: Museum, guid: str
) -> None:
    museum.drop(guid)
    await museum.register()
    ((registered,),) = await museum.world.sql("SELECT guid FROM track.asset")
    await museum.ingest(registered)
    assert museum.stored(registered) == [f"{guid}.tif"]  # named as it was dropped
    assert (await museum.job(registered))[0] == "done"


@pytest.mark.parametrize("guid", ["../../etc/passwd", "..", "a/b", "C:\\x", "a\nb"])
async def test_a_guid_that_is_a_path_is_quarantined_and_writes_nowhere(
    museum: Museum, guid: str
) -> None:
    museum.drop("g")
    document = json.loads((museum.folder / "g.json").read_text())
    (museum.folder / "g.json").write_text(json.dumps(document | {"asset_guid": guid}))
    await museum.register()
    assert (await museum.fails("g", Quarantined)).startswith("g.json: ")
    store = museum.dispatcher.store.root
    assert not store.exists() or list(store.rglob("*")) == []


async def test_a_file_that_grows_under_the_copy_is_read_again_later(
    museum: Museum, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = museum.drop("g")
    await museum.register()
    real = os.write

    def grow(fd: int, data: Any) -> int:
        with image.open("ab") as stream:
            stream.write(b"\0")
        return real(fd, data)

    monkeypatch.setattr(copies.os, "write", grow)
    assert "g.tif" in await museum.fails("g", FileError)
    assert (await museum.job("g"))[::2] == ("ready", 0)
    assert museum.stored("g") == []
    monkeypatch.undo()
    await museum.ingest("g")
    assert await museum.is_in("g")


@pytest.mark.parametrize(
    ("broken", "wrong"),
    [
        ('{\n "asset_guid": "g', "line 2, column 16: it is not JSON: the text that begins here"),
        ('{\n "asset_guid": "g,\n}', "line 2, column 19: it is not JSON: a text has a line break"),
        ('{\n "asset_guid": "g"\n "status": 1}', "line 3, column 2: it is not JSON: a comma or"),
        ('{"asset_guid": "g",}', "line 1, column 20: it is not JSON: a field name in double"),
        ("", "line 1, column 1: it is not JSON: the file is empty"),
        ('{"asset_guid": "g"', "line 1, column 19: it is not JSON: the file breaks off here"),
    ],
)
async def test_broken_json_is_explained_to_who_has_to_mend_it(
    museum: Museum, broken: str, wrong: str
) -> None:
    museum.drop("g")
    (museum.folder / "g.json").write_text(broken)
    await museum.register()
    await museum.fails("g", Quarantined)
    await close_session_folder(museum.dispatcher)
    closed = museum.folder.with_name("error_" + museum.folder.name)
    note = (closed / "QUARANTINE.txt").read_text(encoding="utf-8")
    assert f"\ng.json\n  wrong:  {wrong}" in note
    assert "\n  to do:  Mend the JSON and drop the file again\n" in note


async def test_a_drive_that_is_away_when_a_folder_is_to_be_closed_is_waited_for(
    museum: Museum,
) -> None:
    museum.drop("g")
    await museum.register()
    await museum.ingest("g")
    away = museum.dispatcher.drive.root.rename(museum.folder.parents[2] / "away")
    with pytest.raises(SourceVanished, match="check that the drive is mounted"):
        await close_session_folder(museum.dispatcher)
    away.rename(museum.dispatcher.drive.root)
    await close_session_folder(museum.dispatcher)
    closed = museum.folder.with_name("imported_" + museum.folder.name)
    assert closed.is_dir() and not museum.folder.exists()
    assert await museum.world.sql("SELECT path FROM track.session") == [(str(closed),)]
