"""Removing an asset's originals: only what was taken in, and only while it still is that."""

import json
import zlib
from pathlib import Path
from typing import Any

import pytest

from schemas.metadata.document import read_document
from tasks.errors import SourceVanished
from tasks.files.originals import NotAsTaken, remove_original
from tasks.files.removal import OutsideRoot
from tasks.files.threads import Stop
from track.records.retention import Original

IMAGE = b"II*\x00 an image"


def document(guid: str) -> dict[str, Any]:
    return {
        "asset_guid": guid,
        "institution": "NHMD",
        "collection": "Vascular plants",
        "pipeline_name": "PIPEHERB0001",
        "workstation_name": "WORKHERB0001",
        "date_asset_taken": "2026-11-20T10:00:00+01:00",
        "digitiser": "Åse Sørensen",
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "WORKHERB0001" / "imported_2026-11-20 æ"
    made.mkdir(parents=True)
    drop(made, "g")
    return made


def drop(folder: Path, guid: str) -> None:
    (folder / f"{guid}.tif").write_bytes(IMAGE)
    (folder / f"{guid}.json").write_text(json.dumps(document(guid)), encoding="utf-8")


def original(folder: Path, guid: str = "g", content: bytes = IMAGE) -> Original:
    arrived = read_document(json.dumps(document(guid)).encode()).document
    name = f"{guid}.tif"
    return Original(guid, folder, {name: zlib.crc32(content)}, {name: len(content)}, arrived)


def remove(root: Path, found: Original, *, dry_run: bool = False) -> Any:
    return remove_original(Stop(), root, found, dry_run=dry_run)


def test_both_files_go_and_the_folder_with_the_last_of_them(tmp_path: Path, folder: Path) -> None:
    drop(folder, "h")
    (folder / ".complete").touch()
    removed = remove(tmp_path, original(folder))
    assert (removed.files, removed.folder) == (2, False)
    assert sorted(path.name for path in folder.iterdir()) == [".complete", "h.json", "h.tif"]
    assert remove(tmp_path, original(folder, "h")).folder
    assert not folder.exists() and folder.parent.exists()
    assert remove(tmp_path, original(folder, "h")) is None


def test_a_dry_run_counts_and_touches_nothing(tmp_path: Path, folder: Path) -> None:
    assert remove(tmp_path, original(folder), dry_run=True).files == 2
    assert len(list(folder.iterdir())) == 2


def test_files_that_were_not_taken_in_stay_and_keep_the_folder(
    tmp_path: Path, folder: Path
) -> None:
    for name in ("g.cr3", "g.tif.md5", "gg.tif", "QUARANTINE.txt", "g"):
        (folder / name).write_bytes(b"x")
    assert remove(tmp_path, original(folder)).folder is False
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["QUARANTINE.txt", "g", "g.cr3", "g.tif.md5", "gg.tif"]


@pytest.mark.parametrize("name", ["g.tif", "g.json"])
def test_a_file_that_was_changed_since_keeps_both(tmp_path: Path, folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-3] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(NotAsTaken, match=name):
        remove(tmp_path, original(folder))
    assert len(list(folder.iterdir())) == 2


def test_a_removal_that_was_killed_half_way_is_ended_by_the_next(
    tmp_path: Path, folder: Path
) -> None:
    (folder / "g.tif").unlink()
    removed = remove(tmp_path, original(folder))
    assert (removed.files, removed.folder) == (1, True)


def test_a_folder_emptied_by_a_killed_removal_still_goes(tmp_path: Path, folder: Path) -> None:
    for path in list(folder.iterdir()):
        path.unlink()
    assert remove(tmp_path, original(folder)).folder


def test_a_drive_that_is_not_mounted_is_not_taken_for_an_empty_one(
    tmp_path: Path, folder: Path
) -> None:
    with pytest.raises(SourceVanished):
        remove(tmp_path, original(tmp_path / "WORKPIOF0001" / "imported_x"))
    assert remove(tmp_path, original(folder.with_name("imported_gone"))) is None


def test_links_are_never_followed(tmp_path: Path, folder: Path) -> None:
    image = folder / "g.tif"
    image.rename(tmp_path / "elsewhere.tif")
    image.symlink_to(tmp_path / "elsewhere.tif")
    with pytest.raises(OutsideRoot, match="link"):
        remove(tmp_path, original(folder))
    folder.with_name("imported_link").symlink_to(folder)
    with pytest.raises(OutsideRoot, match="link"):
        remove(tmp_path, original(folder.with_name("imported_link")))
    assert (tmp_path / "elsewhere.tif").exists()


def test_a_folder_that_is_no_session_of_the_drive_is_refused(tmp_path: Path, folder: Path) -> None:
    for wrong in (tmp_path, folder.parent, folder / "deeper", Path("/etc/x")):
        with pytest.raises(OutsideRoot):
            remove(tmp_path, original(wrong))


def test_a_folder_that_is_not_closed_yet_is_left(tmp_path: Path, folder: Path) -> None:
    still_open = folder.rename(folder.with_name("2026-11-20"))
    assert remove(tmp_path, original(still_open)).folder is False
    assert still_open.is_dir()
