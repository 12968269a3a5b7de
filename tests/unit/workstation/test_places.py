"""Where the client's state lies, and paths that are long for Windows."""

import os
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from workstation.places import Places, folder_key, long_path, private_folder, usual_places
from workstation.problems import WorkstationError

LONG = "\\".join(["Billeder fra Søren Ærø"] * 12)


def test_naming_a_place_makes_nothing(tmp_path: Path) -> None:
    places = Places(tmp_path / "state")
    every = [places.journal, places.choices, places.locks, places.outbox, places.reports]
    assert {path.parent for path in every} == {tmp_path / "state"}
    assert len(set(every)) == len(every)
    assert usual_places().root.is_absolute()
    assert list(tmp_path.iterdir()) == []


def test_the_usual_places_are_where_the_system_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert usual_places().root == tmp_path / "Specimen Refinery"


@pytest.mark.skipif(os.name != "posix", reason="only there folders have a mode")
def test_a_private_folder_is_its_owners_alone(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "a" / "b")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert private_folder(folder) == folder


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")
    with pytest.raises(WorkstationError, match=r"a/b"):
        private_folder(tmp_path / "a" / "b")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"C:\\{LONG}\\x.tif", f"\\\\?\\C:\\{LONG}\\x.tif"),
        (f"\\\\server\\share\\{LONG}\\x.tif", f"\\\\?\\UNC\\server\\share\\{LONG}\\x.tif"),
        (f"\\\\?\\C:\\{LONG}\\x.tif", f"\\\\?\\C:\\{LONG}\\x.tif"),
        ("C:\\Billeder\\x.tif", "C:\\Billeder\\x.tif"),
        (f"{LONG}\\x.tif", f"{LONG}\\x.tif"),
        (f"C:\\{LONG}\\..\\x.tif", f"C:\\{LONG}\\..\\x.tif"),
    ],
)
def test_a_long_path_of_windows_is_written_so_that_it_opens(path: str, expected: str) -> None:
    written = long_path(PureWindowsPath(path))
    assert str(written) == expected
    assert written.name == PureWindowsPath(path).name


def test_room_is_kept_for_the_names_in_a_folder() -> None:
    folder = PureWindowsPath("C:\\" + "a" * 100)
    assert long_path(folder) == folder
    assert str(long_path(folder, 255) / "x.tif").startswith("\\\\?\\C:\\aaa")


def test_elsewhere_a_path_stays_as_it_is() -> None:
    path = PurePosixPath("/" + "a" * 300)
    assert long_path(path) is path


def test_a_folder_has_one_key_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert folder_key(tmp_path / "link") == folder_key(tmp_path / "real" / ".." / "real")
