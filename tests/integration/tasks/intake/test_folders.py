"""Folders that change while they are taken in: late files, previews, names used twice."""

import asyncio
import os
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from PIL import Image

from blocks.ndrive import NDrive
from schemas.guid import is_path_safe
from schemas.quarantine import sentence
from tasks.errors import Quarantined
from tasks.files import ndrive, recent_listing
from tasks.intake import folders
from tasks.intake.folders import close_session_folder
from tasks.intake.opening import is_known, register_folder
from tasks.intake.registration import register_session
from tasks.intake.unclosed import closable
from tests.support.museum import Museum
from track.reports.progress import session_progress
from track.schema.database import transact


def named(museum: Museum, guid: str, file_format: str, *endings: str) -> None:
    """A specimen whose metadata names a format, with files of these endings."""
    image = museum.drop(guid, file_format=file_format)
    content = image.read_bytes()
    image.unlink()
    for ending in endings:
        (museum.folder / f"{guid}{ending}").write_bytes(content)


def closed(museum: Museum, prefix: str = "imported_") -> Path:
    """The folder under the name it has when it is closed."""
    return museum.folder.with_name(prefix + museum.folder.name)


@pytest.mark.parametrize(
    ("names", "there", "said"),
    [
        ("TIF", [".jpg"], "g.json: it names the format TIF, and there is only g.jpg"),
        (
            "RAF",
            [".tif", ".jpg"],
            "g.json: it names the format RAF, and there is only g.tif, g.jpg",
        ),
        ("TIF", [".tif", ".tiff"], "g: g.tif and g.tiff may both be its image"),
        ("TIF", [], "g: its image is missing"),
    ],
)
async def test_a_preview_never_becomes_the_master(
    museum: Museum, names: str, there: list[str], said: str
) -> None:
    named(museum, "g", names, *there)
    await museum.register()
    assert (await museum.fails("g", Quarantined)).startswith(said)
    assert museum.stored("g") == []


async def test_the_master_that_comes_after_its_preview_was_refused_is_taken(museum: Museum) -> None:
    named(museum, "g", "TIF", ".jpg")
    museum.drop("h")
    await museum.register()
    await museum.fails("g", Quarantined)
    await museum.drop_anew("g", into="corrected")
    await museum.ingest("g")
    assert await museum.is_in("g") and museum.stored("g") == ["g.tif"]


async def test_a_master_that_comes_after_its_preview_was_taken_is_told_of(museum: Museum) -> None:
    """Without a format in the metadata nobody can know that it was still to come."""
    named(museum, "g", "", ".jpg")
    Image.effect_noise((60, 50), 80).convert("RGB").save(museum.folder / "g.jpg")
    museum.drop("h")
    await museum.register()
    await museum.ingest("g")
    named(museum, "g", "", ".tif")
    await museum.drop_anew(into=museum.folder.name)
    ((known,),) = await museum.world.sql(
        "SELECT known FROM track.session WHERE id = :s", s=museum.world.session_id
    )
    assert sentence(known[0]).startswith("g.tif: it came after g.jpg had been taken in")
    assert museum.stored("g") == ["g.jpg"]


async def test_metadata_and_image_that_differ_in_case_are_taken_as_one(museum: Museum) -> None:
    museum.drop("G1").rename(museum.folder / "g1.TIF")
    await museum.register()
    await museum.ingest("G1")
    await close_session_folder(museum.dispatcher)
    assert await museum.world.sql("SELECT guid FROM track.asset") == [("G1",)]
    assert museum.stored("G1") == ["g1.TIF"] and closed(museum).is_dir()


async def test_names_that_differ_in_case_and_may_mean_others_are_hinted_at(museum: Museum) -> None:
    museum.drop("B").rename(museum.folder / "b.tif")
    (museum.folder / "b.TIF").write_bytes((museum.folder / "b.tif").read_bytes())
    await museum.register()
    said = await museum.fails("B", Quarantined)
    assert said.startswith("B: its image is missing, and b differs from it only in capitals")


async def test_notes_are_no_specimens_and_keep_no_folder_open(museum: Museum) -> None:
    museum.dispatcher.drive.settle_seconds = 0.01
    for folder in ("session æ 1", "session æ 2"):
        museum.folder = museum.folder.with_name(folder)
        museum.folder.mkdir(exist_ok=True)
        for name in ("README", "README.txt", "SHA256SUMS", "import.log"):
            (museum.folder / name).write_text(folder)
        await museum.drop_anew(f"g of {folder}", into=folder)
        (museum.folder / "later.txt").write_text("a note that came late")
        await museum.ingest(f"g of {folder}")
        await close_session_folder(museum.dispatcher)
        assert (closed(museum) / "later.txt").is_file()
        assert not (closed(museum) / "QUARANTINE.txt").exists()
    assert await museum.world.sql("SELECT guid FROM track.asset ORDER BY 1") == [
        ("g of session æ 1",),
        ("g of session æ 2",),
    ]


async def test_broken_files_of_one_name_in_two_folders_are_two_specimens(museum: Museum) -> None:
    """Cameras count from IMG_0001 again and again; the second one took the first one's row."""
    for folder in ("session æ 1", "session æ 2", "session æ 2"):
        museum.folder = museum.folder.with_name(folder)
        museum.folder.mkdir(exist_ok=True)
        (museum.folder / "IMG_0001.tif").write_bytes(b"no metadata")
        await museum.drop_anew(into=folder)
        (museum.folder / "IMG_0002.tif").write_bytes(b"no metadata, and late")
    rows = await museum.world.sql(
        "SELECT guid, source_path FROM track.asset WHERE file_name = 'IMG_0001' ORDER BY created_at"
    )
    (first, one), (second, two) = rows
    assert (first, Path(str(one)).name) == ("IMG_0001", "session æ 1")
    assert str(second).startswith("IMG_0001_") and Path(str(two)).name == "session æ 2"
    await museum.turn_to(await owner(museum, str(second)))
    assert "its metadata is missing" in await museum.fails(str(second), Quarantined)


async def test_a_corrected_drop_opens_what_was_broken_under_its_name(museum: Museum) -> None:
    (museum.drop("IMG_0001").with_suffix(".json")).write_text("{")
    await museum.register()
    await museum.fails("IMG_0001", Quarantined)
    await museum.drop_anew("IMG_0001", into="corrected")
    await museum.ingest("IMG_0001")
    assert museum.stored("IMG_0001") == ["IMG_0001.tif"]
    assert await museum.world.sql("SELECT guid, quarantine FROM track.asset") == [
        ("IMG_0001", None)
    ]


@pytest.mark.parametrize(
    "name", ["a: b", "a; b: c; d", "a\u2028b", 'it\'s "so"', "it's", "Blåbær; 1", " a"]
)
async def test_a_refused_file_of_any_name_is_named_whole(museum: Museum, name: str) -> None:
    """The note was parted out of a sentence: `a: b.json` was called `a` in it."""
    museum.drop(name).with_suffix(".json").write_text("{")
    await museum.register()
    said = await museum.fails(name, Quarantined)
    await close_session_folder(museum.dispatcher)
    note = (closed(museum, "error_") / "QUARANTINE.txt").read_bytes().decode()
    ((entry,),) = await museum.world.sql("SELECT quarantine FROM track.asset")
    assert entry["file"] == f"{name}.json" and sentence(entry) == said
    wrong, to_do = entry["problem"], entry["remedy"]
    assert note.endswith(f"\r\n\r\n{name}.json\r\n  wrong:  {wrong}\r\n  to do:  {to_do}\r\n")
    session_id = museum.world.session_id
    (row,) = await transact(museum.world.engine, session_progress, session_id)
    assert row["quarantine"] == said
    if not is_path_safe(name):
        return  # no specimen may be called so, and none comes back under it
    await museum.drop_anew(name, into="corrected")
    opened = "SELECT old FROM track.history WHERE what = 'asset.reopened'"
    assert await museum.world.sql(opened) == [(said,)]
    await museum.ingest(name)
    assert museum.stored(name) == [f"{name}.tif"]


async def test_no_folder_is_renamed_while_an_extra_is_written_in_its_full_size(
    museum: Museum,
) -> None:
    """A raw beside its TIFF is not archived, and who copies it must find its folder again."""
    museum.drop("g")
    raw = museum.folder / "g.raf"
    raw.write_bytes(bytes(100_000))
    for path in museum.folder.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    await museum.register()
    await museum.ingest("g")
    with raw.open("r+b") as stream:
        stream.write(b"more of it")
    os.utime(raw, (1_700_000_000, 1_700_000_000))
    await close_session_folder(museum.dispatcher)
    engine, mine = museum.world.engine, [museum.world.session_id]
    drive = museum.dispatcher.drive
    assert museum.folder.is_dir()
    assert await closable(engine, mine, actor="test", drive=drive) == []
    drive.settle_seconds = 0.01
    await asyncio.sleep(0.02)
    assert await closable(engine, mine, actor="test", drive=drive) == mine
    await close_session_folder(museum.dispatcher)
    assert closed(museum).is_dir()


async def sessions(museum: Museum) -> int:
    """How many there are."""
    return len(await museum.world.sql("SELECT id FROM track.session"))


async def owner(museum: Museum, guid: str) -> UUID:
    """The session of a specimen."""
    ((found,),) = await museum.world.sql(
        "SELECT session_id FROM track.asset WHERE guid = :g", g=guid
    )
    assert isinstance(found, UUID)
    return found


async def test_a_late_file_that_is_taken_away_again_does_not_keep_the_folder_open(
    museum: Museum,
) -> None:
    """The last session saw it, and no longer found what it had seen: never closed, for ever."""
    museum.drop("g")
    await museum.drop_anew(into=museum.folder.name)
    late = museum.folder / "g.tif.md5"
    late.write_text("late")
    first = museum.world.session_id
    await museum.drop_anew(into=museum.folder.name)
    late.unlink()
    await museum.turn_to(first)
    await museum.ingest("g")
    await close_session_folder(museum.dispatcher)
    assert closed(museum).is_dir() and not museum.folder.exists()


async def test_a_link_to_elsewhere_on_the_drive_does_not_keep_the_folder_open(
    museum: Museum,
) -> None:
    image = museum.drop("g")
    image.rename(museum.dispatcher.drive.root / "elsewhere.tif")
    image.symlink_to(museum.dispatcher.drive.root / "elsewhere.tif")
    listing = ndrive.list_session(museum.folder, museum.dispatcher.drive.root)
    await museum.register()
    await museum.world.sql(
        "UPDATE track.session SET listing_hash = :h", h=ndrive.listing_hash(listing)
    )
    await museum.ingest("g")
    await close_session_folder(museum.dispatcher)
    assert closed(museum).is_dir()


async def test_a_file_that_comes_between_the_last_look_and_the_renaming_opens_the_folder_again(
    museum: Museum, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks into a closed folder: the file would have been lost."""
    museum.drop("g")
    await museum.register()
    await museum.ingest("g")
    real = folders.close_folder

    def late(folder: Path, *given: Any, **more: Any) -> Path:
        museum.drop("h")
        return real(folder, *given, **more)

    monkeypatch.setattr(folders, "close_folder", late)
    await close_session_folder(museum.dispatcher)
    assert (museum.folder / "h.tif").is_file() and not closed(museum).exists()
    monkeypatch.undo()
    await museum.drop_anew(into=museum.folder.name)
    await museum.ingest("h")
    await close_session_folder(museum.dispatcher)
    assert sorted(each.name for each in closed(museum).glob("*.tif")) == ["g.tif", "h.tif"]
    assert await museum.world.sql("SELECT count(*) FROM track.asset") == [(2,)]


async def test_no_dispatcher_is_asked_for_while_a_folder_holds_what_nobody_saw(
    museum: Museum,
) -> None:
    museum.drop("g")
    await museum.register()
    await museum.ingest("g")
    engine, drive = museum.world.engine, museum.dispatcher.drive
    mine = [museum.world.session_id]
    await museum.world.sql("UPDATE track.session SET workstation = 'WORKHERB0001'")
    assert await closable(engine, mine, actor="test", drive=drive) == mine
    museum.drop("h")
    for path in (museum.folder, *museum.folder.iterdir()):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert await closable(engine, mine, actor="test", drive=drive) == []
    assert await sessions(museum) == 1, "the watch looks there, and opens it"
    elsewhere = NDrive(root=drive.root, workstations=["ANOTHER"])
    assert await closable(engine, mine, actor="test", drive=elsewhere) == []
    assert await sessions(museum) == 2, "nobody else looks there"
    away = drive.root.rename(drive.root.with_name("away"))
    assert await closable(engine, mine, actor="test", drive=drive) == []
    away.rename(drive.root)
    museum.folder.rename(closed(museum))
    assert await closable(engine, mine, actor="test", drive=drive) == mine, "killed while closing"


async def test_a_folder_of_many_is_listed_once_and_not_for_each_specimen(
    museum: Museum, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5,000 specimens were 25 million looks at files."""
    guids = [f"g{n:02}" for n in range(20)]
    for guid in guids:
        museum.drop(guid)
    looks = 0
    real = recent_listing.listed

    def counted(*given: Any) -> ndrive.Listing:
        nonlocal looks
        looks += 1
        return real(*given)

    monkeypatch.setattr(recent_listing, "listed", counted)
    recent, root = museum.dispatcher.folder, museum.dispatcher.drive.root
    for guid in guids:
        assert (await recent.find(museum.folder, root, guid)).pair.is_complete
    assert looks == 1
    (museum.folder / "g00.tif").write_bytes(b"changed")
    found = await recent.find(museum.folder, root, "g00")
    assert (looks, found.pair.image and found.pair.image.size_bytes) == (1, 7)
    museum.drop("late")
    assert (await recent.find(museum.folder, root, "late")).pair.is_complete and looks == 2
    (museum.folder / "g01.tif").unlink()
    assert not (await recent.find(museum.folder, root, "g01")).pair.is_complete


async def test_a_late_specimen_is_taken_by_one_further_session_over_only_what_is_new(
    museum: Museum,
) -> None:
    museum.drop("g")
    await museum.drop_anew(into=museum.folder.name)
    first = museum.world.session_id
    await museum.drop_anew("h", into=museum.folder.name)
    assert (await owner(museum, "g"), await owner(museum, "h")) == (first, museum.world.session_id)
    await museum.ingest("h")
    await close_session_folder(museum.dispatcher)
    assert museum.folder.is_dir(), "one of its first session is to come"
    await museum.turn_to(first)
    await museum.ingest("g")
    await close_session_folder(museum.dispatcher)
    assert closed(museum).is_dir() and not museum.folder.exists()
    assert not (closed(museum) / "QUARANTINE.txt").exists()
    rows = await museum.world.sql("SELECT path FROM track.session WHERE opened_as NOT LIKE '/n/%'")
    assert rows == 2 * [(str(closed(museum)),)]


async def test_a_folder_whose_last_specimens_are_decided_together_is_closed_once(
    museum: Museum, monkeypatch: pytest.MonkeyPatch
) -> None:
    guids = [f"g{n}" for n in range(30)]
    for guid in guids:
        museum.drop(guid)
    await museum.register()
    for guid in guids:
        await museum.ingest(guid)
    seen, real = [], folders.close

    def counted(*given: Any) -> Path | None:
        seen.append(given)
        return real(*given)

    async def ended() -> None:
        async with folders.closing_folder(museum.dispatcher):
            pass

    monkeypatch.setattr(folders, "close", counted)
    await asyncio.gather(*(ended() for _ in guids))
    assert closed(museum).is_dir() and len(seen) == 1
    paths = await museum.world.sql("SELECT DISTINCT source_path FROM track.asset")
    assert paths == [(str(closed(museum)),)]


async def test_an_image_that_was_away_and_is_back_as_it_was_is_taken_in_after_all(
    museum: Museum,
) -> None:
    engine, first, kept = museum.world.engine, museum.world.session_id, museum.folder.parent / "k"
    for guid in ("a", "b"):
        museum.drop(guid)
    await museum.world.sql(
        "UPDATE track.session SET path = :p, opened_as = :p", p=str(museum.folder)
    )
    await museum.register()

    async def opened() -> UUID | None:
        return await register_folder(engine, museum.dispatcher.drive, museum.folder, actor="test")

    assert await opened() is None
    (museum.folder / "a.tif").rename(kept)
    second = await opened()
    assert second is not None
    await museum.turn_to(second)
    await register_session(museum.dispatcher)
    await museum.turn_to(first)
    assert "its image is missing" in await museum.fails("a", Quarantined)
    await museum.ingest("b")
    kept.rename(museum.folder / "a.tif")
    await close_session_folder(museum.dispatcher)
    assert museum.folder.is_dir()
    drive = museum.dispatcher.drive
    assert not await is_known(engine, drive, museum.folder, listing_hash_of(museum))
    third = await opened()
    assert third is not None and third != first
    assert await opened() is None
    await museum.turn_to(third)
    await close_session_folder(museum.dispatcher)
    assert museum.folder.is_dir()  # it is to be registered first
    await register_session(museum.dispatcher)
    await museum.ingest("a")
    await close_session_folder(museum.dispatcher)
    assert closed(museum).is_dir() and museum.stored("a") == ["a.tif"]
    ids = "SELECT count(DISTINCT event ->> 'id') FROM track.outbox"
    assert await museum.world.sql(f"{ids} WHERE event ->> 'event' LIKE '%ready'") == [(2,)]


def listing_hash_of(museum: Museum) -> str:
    return ndrive.listing_hash(ndrive.list_session(museum.folder))
