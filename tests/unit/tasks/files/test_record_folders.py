"""Folders of records: written whole or not at all, and refused when they are not as written."""

import os
import time
from pathlib import Path

import pytest

from tasks.errors import FileError
from tasks.files.record_folders import (
    MANIFEST,
    UnreadableRecords,
    read_folder,
    read_ids,
    remove_unfinished,
    write_folder,
)
from tasks.files.threads import Stop

ROWS = {
    "history": 'id,why\n7,"æ, and a\nsecond line"\n9,""\n'.encode(),
    "inbox": b"id,payload\n",
}


def write(root: Path) -> Path:
    return root / write_folder(Stop(), root, "0017", ["g1", "g2"], ROWS)


def test_what_is_written_is_read_back_to_the_byte(tmp_path: Path) -> None:
    folder = write(tmp_path / "records")
    manifest, rows = read_folder(folder)
    assert rows == ROWS and manifest.assets == ["g1", "g2"] and manifest.revision == "0017"
    assert [(each.table, each.rows, each.columns) for each in manifest.files] == [
        ("history", 2, ["id", "why"]), ("inbox", 0, ["id", "payload"])
    ]  # fmt: skip
    assert read_ids(Stop(), folder) == {"history": ["7", "9"], "inbox": []}
    assert folder.parent.name == f"{manifest.written_at:%Y-%m}"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_two_of_the_same_second_are_two_folders(tmp_path: Path) -> None:
    assert write(tmp_path) != write(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (MANIFEST, None, "it is not there; name a folder that holds one"),
        (MANIFEST, b"{", "the whole: Invalid JSON"),
        (MANIFEST, b'{"written_at": "2026-11-29T00:00:00Z"}', "revision: Field required"),
        ("history.csv.gz", None, "No such file"),
        ("history.csv.gz", b"other", "sha256: its content is another; take this folder from a"),
    ],
)
def test_what_is_not_as_written_is_refused_by_name(
    name: str, content: bytes | None, told: str, tmp_path: Path
) -> None:
    folder = write(tmp_path)
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(UnreadableRecords) as refused:
        read_folder(folder)
    assert str(refused.value).startswith(str(folder / name)) and told in str(refused.value)


def test_a_place_that_takes_nothing_is_named_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "records").write_text("a file")
    with pytest.raises(FileError, match="records"):
        write(tmp_path / "records")
    assert (tmp_path / "records").read_text() == "a file"


def test_what_was_never_finished_goes_a_day_later_and_nothing_else_does(tmp_path: Path) -> None:
    folder = write(tmp_path)
    old, new = (folder.with_name(f"{n}.part") for n in ("old", "new"))
    for each in (old, new):
        each.mkdir()
        (each / "history.csv.gz").write_bytes(b"half")
    long_ago = time.time() - 25 * 3600
    for each in (old, folder):
        os.utime(each, (long_ago, long_ago))
    remove_unfinished(Stop(), tmp_path)
    assert not old.exists() and new.exists() and folder.exists()
    remove_unfinished(Stop(), tmp_path / "nowhere")
