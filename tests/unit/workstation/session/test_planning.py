"""A plan holds every name and checksum, and making it changes nothing."""

import hashlib
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.guid import Guid
from schemas.metadata.document import read_document
from tests.support.camera import (
    CHOICES,
    NOW,
    VALUES,
    camera_image,
    camera_raw,
    camera_session,
    exif_of,
    planned,
    set_file_time,
)
from workstation.files import ReadFile, read_file
from workstation.session import planning
from workstation.session.folders import find_specimens
from workstation.session.planning import FolderPlan, WrongChoices, plan_folder


def plan(folder: Path, **changes: object) -> FolderPlan:
    choices = CHOICES.model_copy(update=changes)
    scan = find_specimens(folder)
    return plan_folder(scan, choices, VALUES, now=NOW, client="1", is_taken=lambda guid: False)


def everything_below(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_planning_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "state"))
    camera_session(tmp_path / "folder", 3)
    before = everything_below(tmp_path)
    assert not planned(tmp_path / "folder").stops
    assert everything_below(tmp_path) == before
    assert not (tmp_path / "state").exists()


def test_each_specimen_gets_a_guid_and_its_files_the_names_of_it(tmp_path: Path) -> None:
    found = plan(camera_session(tmp_path, 3))
    assert len({each.guid for each in found.specimens}) == 3
    for each in found.specimens:
        assert Guid.parse(each.guid).captured == each.captured.when.replace(tzinfo=None)
        assert [(file.kind, file.new_name, file.is_sent) for file in each.files] == [
            ("image", f"{each.guid}.tif", True),
            ("raw", f"{each.guid}.raf", False),
            ("metadata", f"{each.guid}.json", True),
        ]
        image, raw, metadata = each.files
        for file in (image, raw):
            content = (tmp_path / file.original_name).read_bytes()
            assert file.facts.sha256 == hashlib.sha256(content).hexdigest()
            assert file.facts.size_bytes == len(content)
        assert metadata.facts.sha256 == hashlib.sha256(metadata.content).hexdigest()
        assert read_document(metadata.content).metadata.asset_guid == each.guid


def test_raws_are_sent_where_the_museum_wants_them(tmp_path: Path) -> None:
    values = VALUES.model_copy(update={"upload_raw": True})
    found = planned(camera_session(tmp_path, 1), values=values)
    assert all(file.is_sent for file in found.specimens[0].files)


def test_each_file_is_read_once_for_its_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def noted(path: Path, progress: object = None) -> ReadFile:
        read.append(path)
        return read_file(path)

    monkeypatch.setattr(planning, "read_file", noted)
    monkeypatch.setattr("workstation.session.folders.read_file", noted)
    camera_session(tmp_path, 3)
    plan(tmp_path)
    assert sorted(read) == sorted(tmp_path.iterdir())


def test_what_is_wrong_and_what_is_doubtful_is_told_of_all_at_once(tmp_path: Path) -> None:
    camera_session(tmp_path, 1)
    late = (NOW + timedelta(hours=1)).strftime("%Y:%m:%d %H:%M:%S")
    for name, exif in (("late", exif_of(late, "+00:00")), ("silent", exif_of(None))):
        camera_raw(tmp_path / f"{name}.raf", len(name))
        image = camera_image(tmp_path / f"{name}.tif", len(name), exif=exif)
        set_file_time(image, NOW - timedelta(hours=1))
    (tmp_path / "broken.tif").write_bytes(b"")
    found = plan(tmp_path)
    assert {problem.file.stem: problem.stops for problem in found.problems} == {
        "broken": True,
        "late": True,
        "silent": False,
    }
    assert found.stops
    assert {each.stem for each in found.specimens} == {"DSCF0001", "silent"}


def test_wrong_choices_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(WrongChoices, match="collection: 'Mosses' is not offered") as refused:
        plan(camera_session(tmp_path, 1), collection="Mosses")
    assert [problem.field for problem in refused.value.problems] == ["collection"]


@pytest.mark.parametrize("name", ["DSCF0001.tif", "DSCF0001.RAF"])
def test_a_file_that_changed_since_it_was_looked_at_is_told_of(tmp_path: Path, name: str) -> None:
    scan = find_specimens(camera_session(tmp_path, 2))
    set_file_time(tmp_path / name, NOW)
    found = plan_folder(scan, CHOICES, VALUES, now=NOW, client="1", is_taken=lambda guid: False)
    (problem,) = found.problems
    assert problem.file.name == name and "changed" in problem.what
    assert found.stops


def test_a_folder_without_specimens_stops(tmp_path: Path) -> None:
    assert plan(tmp_path).stops
