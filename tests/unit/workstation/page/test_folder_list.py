"""Which folders the local page offers, and what may be typed instead."""

import os
from pathlib import Path

import pytest

from workstation.page.folder_list import (
    NoFolder,
    OutsidePlaces,
    offered_places,
    place_of,
    sub_folders,
    typed_folder,
)
from workstation.problems import FileGone, WorkstationError


def test_places_are_where_sessions_lay_before_each_once(tmp_path: Path) -> None:
    place = tmp_path / "Billeder Ærø"
    place.mkdir()
    (tmp_path / "link").symlink_to(place)
    sessions = [place / "b", tmp_path / "link" / "a", tmp_path / "gone" / "c"]
    offered = offered_places(sessions)
    assert offered[0] == place
    assert tmp_path / "link" not in offered and tmp_path / "gone" not in offered


def test_sub_folders_come_with_the_last_changed_first_and_without_hidden_ones(
    tmp_path: Path,
) -> None:
    for i, name in enumerate(("old", "new", ".hidden", "$RECYCLE.BIN")):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 + i, 1000 + i))
    (tmp_path / "file.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "old")
    assert [each.path.name for each in sub_folders(tmp_path, [tmp_path])] == ["new", "old"]


@pytest.mark.parametrize("path", ["..", "place/../../elsewhere", "place/link", "/", "place-2"])
def test_nothing_is_listed_outside_the_places_that_are_offered(tmp_path: Path, path: str) -> None:
    for name in ("place", "elsewhere", "place-2"):
        (tmp_path / name).mkdir()
    (tmp_path / "place" / "link").symlink_to(tmp_path / "elsewhere")
    places = [tmp_path / "place"]
    assert place_of(tmp_path / path, places) is None
    with pytest.raises(OutsidePlaces):
        sub_folders(tmp_path / path, places)


def test_a_folder_that_went_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileGone, match="gone"):
        sub_folders(tmp_path / "gone", [tmp_path])


def test_a_path_may_be_pasted_in_quotes_as_windows_copies_it(tmp_path: Path) -> None:
    folder = tmp_path / "Session Ærø 2"
    folder.mkdir()
    assert typed_folder(f'  "{folder}" ') == folder
    assert typed_folder(f"{folder}/../Session Ærø 2/") == folder


@pytest.mark.parametrize("text", ["", "  ", '""', "session", "./a", "a\0b", "/tmp\0"])
def test_what_is_no_whole_path_is_refused(text: str) -> None:
    with pytest.raises(NoFolder, match="no whole path"):
        typed_folder(text)


@pytest.mark.parametrize("name", ["gone", "file.txt", "x" * 300])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").touch()
    with pytest.raises(WorkstationError, match=r"folder|name"):
        typed_folder(str(tmp_path / name))
