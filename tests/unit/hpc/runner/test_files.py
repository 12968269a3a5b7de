"""Listing what a stage declares as its outputs."""

import hashlib
from pathlib import Path

import pytest

from hpc.runner.errors import BadInput
from hpc.runner.files import listed


def test_every_file_a_pattern_names_is_listed_once(tmp_path: Path) -> None:
    (tmp_path / "derived").mkdir()
    (tmp_path / "derived" / "b.tif").write_bytes(b"bb")
    (tmp_path / "a.txt").write_bytes(b"a")
    found = listed(tmp_path, ["derived/*", "*.txt", "a.txt"])
    assert found == [
        {"path": name, "size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in (("a.txt", b"a"), ("derived/b.tif", b"bb"))
    ]


def test_a_pattern_without_a_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no file 'derived/\*\.tif'"):
        listed(tmp_path, ["derived/*.tif"])


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "asset"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"s")
    (folder / "x").symlink_to(tmp_path / "secret")
    with pytest.raises(BadInput, match="leads out of"):
        listed(folder, ["x"])
