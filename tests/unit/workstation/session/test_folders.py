"""A folder's specimens, and everything that is wrong with its files, in one look."""

import unicodedata
from pathlib import Path

import pytest

from tests.support.camera import camera_image, camera_raw, camera_session
from workstation.files import size_and_time
from workstation.session.folders import FolderScan, FolderUnusable, find_specimens

GUID = "7ea-b-15-09-1e-00-1-001-01-000-00002a-00000"


def told(scan: FolderScan, name: str) -> list[str]:
    return [problem.what for problem in scan.problems if problem.file.name == name]


def test_raw_and_converted_image_of_one_name_are_a_specimen(tmp_path: Path) -> None:
    scan = find_specimens(camera_session(tmp_path / "Søren Ærøs mappe", 3))
    assert [each.stem for each in scan.specimens] == ["DSCF0001", "DSCF0002", "DSCF0003"]
    assert [path.name for path in scan.specimens[0].files] == ["DSCF0001.tif", "DSCF0001.RAF"]
    assert scan.problems == () and not scan.stops


def test_names_pair_as_windows_and_macs_see_them(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Ærø é 1") for form in ("NFC", "NFD"))
    assert composed != apart
    camera_image(tmp_path / f"{composed}.TIF")
    camera_raw(tmp_path / f"{apart.lower()}.Cr3")
    scan = find_specimens(tmp_path)
    assert [len(each.raws) for each in scan.specimens] == [1]
    assert not scan.stops


def test_each_lacks_the_other_and_both_are_told_of(tmp_path: Path) -> None:
    camera_session(tmp_path)
    camera_image(tmp_path / "alone.tif", 50)
    camera_raw(tmp_path / "raw only.cr2", 51)
    scan = find_specimens(tmp_path)
    assert told(scan, "alone.tif") == ["it has no raw file of the same name beside it"]
    assert told(scan, "raw only.cr2") == ["it has no converted image of the same name beside it"]
    assert scan.stops and len(scan.specimens) == 3


def test_raws_may_be_left_out_where_the_policy_says_so(tmp_path: Path) -> None:
    camera_image(tmp_path / "alone.tif")
    scan = find_specimens(tmp_path, raw_required=False)
    assert [each.raws for each in scan.specimens] == [()]
    assert not scan.stops


def test_two_converted_images_of_one_name_are_told_of(tmp_path: Path) -> None:
    camera_image(tmp_path / "a.tif", 1)
    camera_image(tmp_path / "A.jpg", 2)
    camera_raw(tmp_path / "a.raf")
    scan = find_specimens(tmp_path)
    assert told(scan, "A.jpg") == ["there are several images of its name: A.jpg, a.tif"]
    assert scan.specimens == ()


def test_two_raws_that_would_get_one_name_are_told_of(tmp_path: Path) -> None:
    camera_image(tmp_path / "a.tif", 1)
    camera_raw(tmp_path / "a.raf", 1)
    camera_raw(tmp_path / "A.RAF", 2)
    scan = find_specimens(tmp_path)
    assert told(scan, "a.raf") and told(scan, "A.RAF") and scan.stops
    (tmp_path / "A.RAF").unlink()
    camera_raw(tmp_path / "a.cr3", 2)
    assert [len(each.raws) for each in find_specimens(tmp_path).specimens] == [2]


def test_a_dng_is_a_raw_beside_an_image_and_else_an_image(tmp_path: Path) -> None:
    camera_image(tmp_path / "a.tif", 1)
    camera_raw(tmp_path / "a.dng", 1)
    camera_image(tmp_path / "b.DNG", 2)
    scan = find_specimens(tmp_path, raw_required=False)
    assert [(each.image.name, len(each.raws)) for each in scan.specimens] == [
        ("a.tif", 1),
        ("b.DNG", 0),
    ]
    assert not scan.stops
    assert told(find_specimens(tmp_path), "b.DNG") == [
        "it has no raw file of the same name beside it"
    ]


def test_hidden_and_the_systems_files_are_passed_over_without_a_word(tmp_path: Path) -> None:
    camera_session(tmp_path, 1)
    for name in ("Thumbs.db", "DESKTOP.INI", "._DSCF0001.tif", ".DS_Store", "~$notes.docx"):
        (tmp_path / name).write_text("x")
    scan = find_specimens(tmp_path)
    assert scan.problems == () and len(scan.specimens) == 1


def test_what_else_lies_there_is_named_and_stops_nothing(tmp_path: Path) -> None:
    camera_session(tmp_path, 1)
    camera_session(tmp_path / "more", 1)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "link.tif").symlink_to(tmp_path / "DSCF0001.tif")
    scan = find_specimens(tmp_path)
    assert {problem.file.name for problem in scan.problems} == {"more", "notes.txt", "link.tif"}
    assert not scan.stops and len(scan.specimens) == 1


def test_every_broken_file_is_told_of_at_once_paired_or_not(tmp_path: Path) -> None:
    camera_session(tmp_path, 2)
    (tmp_path / "DSCF0001.tif").write_bytes(b"")
    (tmp_path / "DSCF0002.RAF").write_bytes(b"no raw file")
    (tmp_path / "alone.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    scan = find_specimens(tmp_path)
    assert told(scan, "DSCF0001.tif") == ["it is empty (0 bytes)"]
    assert len(told(scan, "DSCF0002.RAF")) == 1
    assert len(told(scan, "alone.jpg")) == 2
    assert all(problem.remedy for problem in scan.problems)


def test_images_of_one_content_are_named_both(tmp_path: Path) -> None:
    camera_session(tmp_path, 3)
    (tmp_path / "DSCF0003.tif").write_bytes((tmp_path / "DSCF0001.tif").read_bytes())
    scan = find_specimens(tmp_path)
    assert told(scan, "DSCF0003.tif") == ["it has the same content as DSCF0001.tif"]
    assert [problem.file.name for problem in scan.problems] == ["DSCF0003.tif"] and scan.stops


def test_only_images_of_one_size_are_read_for_their_content(tmp_path: Path) -> None:
    for number, width in ((1, 64), (2, 64), (3, 70)):
        camera_image(tmp_path / f"{number}.tif", number, size=(width, 48))
    scan = find_specimens(tmp_path, raw_required=False)
    assert {path.name for path in scan.read} == {"1.tif", "2.tif"}
    assert {path.name for path in scan.seen} == {"1.tif", "2.tif", "3.tif"}


def test_what_an_ended_session_left_is_not_taken_again_unless_it_changed(tmp_path: Path) -> None:
    camera_session(tmp_path, 1)
    left = camera_raw(tmp_path / f"{GUID}.raf", 9)
    facts = size_and_time(left)
    assert facts is not None
    scan = find_specimens(tmp_path, left={left.name: facts})
    assert [each.stem for each in scan.specimens] == ["DSCF0001"] and not scan.stops
    assert told(scan, left.name) == ["a session that has ended left it here; it is not sent again"]
    assert find_specimens(tmp_path, left={left.name: (facts[0], 1)}).stops


def test_a_file_with_a_guid_that_nobody_knows_stops(tmp_path: Path) -> None:
    camera_image(tmp_path / f"{GUID}.tif")
    camera_raw(tmp_path / f"{GUID}.raf")
    scan = find_specimens(tmp_path)
    assert scan.stops and told(
        scan, f"{GUID}.raf" if scan.problems[0].file.suffix == ".raf" else f"{GUID}.tif"
    )


@pytest.mark.parametrize("name", ["nowhere", "a file"])
def test_a_folder_that_is_none_is_told_of(tmp_path: Path, name: str) -> None:
    (tmp_path / "a file").write_text("x")
    with pytest.raises(FolderUnusable, match=name):
        find_specimens(tmp_path / name)


def test_an_empty_folder_stops(tmp_path: Path) -> None:
    scan = find_specimens(tmp_path)
    assert scan.stops and "no image" in scan.problems[0].what


def test_each_whole_file_is_told_of_as_it_was_looked_at(tmp_path: Path) -> None:
    camera_session(tmp_path, 2)
    seen: list[tuple[str, int]] = []
    find_specimens(tmp_path, progress=lambda path, count: seen.append((path.name, count)))
    assert len(seen) == 4 and ("DSCF0001.RAF", 4096) in seen
