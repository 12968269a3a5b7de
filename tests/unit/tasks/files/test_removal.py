"""Deleting below a root on a real file system, with links put in the way."""

from pathlib import Path

import pytest

from tasks.errors import SourceVanished
from tasks.files.removal import OutsideRoot, below, remove_empty, remove_tree, size_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    (made / "g" / "derived").mkdir(parents=True)
    (made / "g" / "a.tif").write_bytes(b"12345")
    (made / "g" / "derived" / "b.jpg").write_bytes(b"123")
    return made


def test_a_tree_is_removed_once_and_its_bytes_are_counted(root: Path) -> None:
    assert size_of(root, ("g",)) == 8
    assert remove_tree(root, ("g",)) == 8
    assert remove_tree(root, ("g",)) is None
    assert size_of(root, ("g",)) is None
    assert list(root.iterdir()) == []


def test_a_link_in_the_place_of_a_folder_is_not_followed(root: Path, tmp_path: Path) -> None:
    treasure = tmp_path / "treasure"
    treasure.mkdir()
    (treasure / "x").touch()
    (root / "h").symlink_to(treasure)
    with pytest.raises(OutsideRoot, match="link"):
        remove_tree(root, ("h",))
    with pytest.raises(OutsideRoot, match="link"):
        remove_empty(root, ("h",), frozenset())
    (treasure / "inner").mkdir()
    with pytest.raises(OutsideRoot, match="link"):
        remove_tree(root, ("h", "inner"))
    assert (treasure / "x").exists()


def test_a_link_inside_a_tree_is_removed_and_its_target_stays(root: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    (root / "g" / "link").symlink_to(tmp_path / "kept")
    remove_tree(root, ("g",))
    assert (tmp_path / "kept").exists()


def test_a_root_that_is_not_mounted_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(SourceVanished):
        remove_tree(tmp_path / "absent", ("g",))
    with pytest.raises(SourceVanished):
        size_of(tmp_path / "absent", ("g",))


@pytest.mark.parametrize("path", ["/elsewhere/g", "root/g", "{root}/../g", "{root}", "{root}/a/b"])
def test_only_paths_right_below_the_root_are_meant(root: Path, path: str) -> None:
    with pytest.raises(OutsideRoot):
        below(root, Path(path.format(root=root)), depth=1)
    assert below(root, root / "g", depth=1) == ("g",)


def test_a_root_that_is_itself_reached_by_a_link_may_be_named_either_way(
    root: Path, tmp_path: Path
) -> None:
    mount = tmp_path / "mount"
    mount.symlink_to(root)
    assert below(mount, mount / "g") == below(mount, root / "g") == ("g",)


def test_a_folder_goes_when_only_our_leftovers_are_in_it(root: Path) -> None:
    (root / "s").mkdir()
    (root / "s" / ".complete").touch()
    (root / "s" / "notes.txt").touch()
    assert not remove_empty(root, ("s",), frozenset({".complete"}))
    assert (root / "s" / ".complete").exists()
    (root / "s" / "notes.txt").unlink()
    assert remove_empty(root, ("s",), frozenset({".complete"}))
    assert not (root / "s").exists()
