"""Files are read whole or refused, written whole or not at all, and errors name what to do."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from workstation import files
from workstation.files import FileChanged, ReadFile, read_file, size_and_time, write_whole
from workstation.problems import (
    DeviceTrouble,
    FileGone,
    FileProblem,
    NoAccess,
    NoRoomLeft,
    translated,
)


def test_a_file_is_read_whole_in_pieces_that_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "PIECE_BYTES", 1000)
    path = tmp_path / "Ærø.tif"
    path.write_bytes(bytes(range(250)) * 10)
    told: list[int] = []
    found = read_file(path, lambda _, count: told.append(count))
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.size_bytes, found.mtime_ns) == size_and_time(path)
    assert told == [1000, 1000, 500]
    assert ReadFile.of(path.read_bytes()).sha256 == found.sha256


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"a" * 100)

    def grow(file: Path, count: int) -> None:
        if path.stat().st_size < 1000:
            with path.open("ab") as stream:
                stream.write(b"more")

    with pytest.raises(FileChanged, match="written to while it was read; wait until"):
        read_file(path, grow)


def test_what_is_not_there_has_neither_size_nor_time(tmp_path: Path) -> None:
    assert size_and_time(tmp_path / "a") is None
    with pytest.raises(FileGone, match="a: it is not there; look whether"):
        read_file(tmp_path / "a")


def test_a_file_is_written_whole_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    (tmp_path / ".a.json.part").write_bytes(b"left by one that was killed")
    write_whole(path, b"first")
    write_whole(path, b"second")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [
        ("a.json", b"second")
    ]


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_whole(path, b"first")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NoRoomLeft, match=r"a\.json: there is no room left on the disk; make room"):
        write_whole(path, b"second")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a.json", b"first")]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOENT, FileGone),
        (errno.EDQUOT, NoRoomLeft),
        (errno.EACCES, NoAccess),
        (errno.EIO, DeviceTrouble),
    ],
)
def test_what_the_system_says_gets_a_name_and_a_remedy(number: int, expected: type) -> None:
    found = translated(OSError(number, os.strerror(number)), Path("Ærø/a.tif"))
    assert type(found) is expected
    assert str(found).startswith("Ærø/a.tif: ") and found.remedy in str(found)
    assert str(found.problem) == f"a.tif: {found.what}; {found.remedy}"
    assert found.problem == FileProblem(Path("Ærø/a.tif"), found.what, found.remedy, stops=True)
