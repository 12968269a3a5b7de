"""A file that is read again whenever it has changed."""

import os
from pathlib import Path

import pytest

from blocks.changing_file import ChangingFile


def test_it_is_understood_once_for_each_change(tmp_path: Path) -> None:
    seen: list[bytes] = []
    (path := tmp_path / "f").write_bytes(b"one")

    def understood(data: bytes) -> int:
        seen.append(data)
        return len(data)

    file = ChangingFile(path, understood)
    assert [file.read(), file.read()] == [3, 3] and seen == [b"one"]
    path.write_bytes(b"three")
    assert [file.read(), file.read()] == [5, 5] and seen == [b"one", b"three"]


def test_the_same_size_and_time_in_another_file_is_a_change(tmp_path: Path) -> None:
    (path := tmp_path / "f").write_bytes(b"one")
    file = ChangingFile(path, bytes)
    assert file.read() == b"one"
    (draft := tmp_path / "g").write_bytes(b"two")
    os.utime(draft, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    draft.replace(path)
    assert file.read() == b"two"


def test_what_cannot_be_understood_is_not_kept_and_what_is_gone_is_gone(tmp_path: Path) -> None:
    (path := tmp_path / "f").write_bytes(b"1")
    file = ChangingFile(path, int)
    assert file.read() == 1
    path.write_bytes(b"one")
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            file.read()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.read()
