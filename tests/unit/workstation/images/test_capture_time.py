"""When an image was taken: the camera's word, else the file's, and never silently."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image

from tests.support.camera import NOW, camera_image, exif_of, set_file_time
from workstation.images.capture_time import CaptureTime, CaptureTimeRefused, capture_time

ZONE = "Europe/Copenhagen"


def taken(path: Path, exif: Image.Exif, zone: str = ZONE) -> CaptureTime:
    return capture_time(camera_image(path, exif=exif), zone, NOW)


@pytest.mark.parametrize("name", ["a.tif", "a.jpg", "a.dng"])
def test_the_camera_says_when_and_in_which_offset(tmp_path: Path, name: str) -> None:
    found = taken(tmp_path / name, exif_of("2026:07:21 09:30:00", "-03:30", "25"))
    assert found.when.isoformat() == "2026-07-21T09:30:00.250000-03:30"
    assert (found.source, found.warning) == ("exif", "")


@pytest.mark.parametrize("offset", [None, "   :  ", ""])
def test_without_an_offset_the_workstations_zone_counts(tmp_path: Path, offset: str | None) -> None:
    summer = taken(tmp_path / "a.tif", exif_of("2026:07:21 09:30:00", offset))
    winter = taken(tmp_path / "b.tif", exif_of("2026:01:21 09:30:00", offset))
    assert summer.when.isoformat() == "2026-07-21T09:30:00+02:00"
    assert winter.when.isoformat() == "2026-01-21T09:30:00+01:00"
    assert summer.warning == winter.warning == ""


@pytest.mark.parametrize("offset", ["+1", "UTC", "+25:00", "+01:75"])
def test_an_offset_that_is_none_is_told_of(tmp_path: Path, offset: str) -> None:
    found = taken(tmp_path / "a.tif", exif_of("2026:07:21 09:30:00", offset))
    assert found.when.isoformat() == "2026-07-21T09:30:00+02:00"
    assert offset in found.warning and ZONE in found.warning


def test_of_an_hour_that_came_twice_the_first_is_taken_and_told_of(tmp_path: Path) -> None:
    found = taken(tmp_path / "a.tif", exif_of("2026:10:25 02:30:00", None))
    assert found.when.isoformat() == "2026-10-25T02:30:00+02:00"
    assert "twice" in found.warning


def test_an_hour_that_never_came_is_told_of(tmp_path: Path) -> None:
    found = taken(tmp_path / "a.tif", exif_of("2026:03:29 02:30:00", None))
    assert found.when.isoformat() == "2026-03-29T02:30:00+01:00"
    assert "never came" in found.warning


@pytest.mark.parametrize(
    "text", [None, "0000:00:00 00:00:00", "yesterday", "2026:13:45 09:30:00", "    :  :     :  :  "]
)
def test_without_a_legible_time_the_files_counts_and_is_told_of(
    tmp_path: Path, text: str | None
) -> None:
    path = camera_image(tmp_path / "a.tif", exif=exif_of(text))
    set_file_time(path, datetime(2026, 7, 1, 10, 0, 0, tzinfo=UTC))
    found = capture_time(path, ZONE, NOW)
    assert found.when.isoformat() == "2026-07-01T12:00:00+02:00"
    assert found.source == "file" and "file's time" in found.warning


def test_digits_behind_the_second_may_be_many_or_none(tmp_path: Path) -> None:
    many = taken(tmp_path / "a.tif", exif_of(sub_seconds="123456789"))
    wrong = taken(tmp_path / "b.tif", exif_of(sub_seconds="a few"))
    assert (many.when.microsecond, wrong.when.microsecond) == (123456, 0)


def test_a_time_to_come_is_refused(tmp_path: Path) -> None:
    soon = (NOW + timedelta(minutes=4)).strftime("%Y:%m:%d %H:%M:%S")
    late = (NOW + timedelta(minutes=6)).strftime("%Y:%m:%d %H:%M:%S")
    assert taken(tmp_path / "a.tif", exif_of(soon, "+00:00")).source == "exif"
    with pytest.raises(CaptureTimeRefused, match="to come"):
        taken(tmp_path / "b.tif", exif_of(late, "+00:00"))
    path = set_file_time(
        camera_image(tmp_path / "c.tif", exif=exif_of(None)), NOW + timedelta(hours=1)
    )
    with pytest.raises(CaptureTimeRefused, match="the file's time"):
        capture_time(path, ZONE, NOW)


def test_a_clock_that_was_never_set_is_refused(tmp_path: Path) -> None:
    assert taken(tmp_path / "a.tif", exif_of("1990:01:01 00:00:00")).source == "exif"
    with pytest.raises(CaptureTimeRefused, match="never set"):
        taken(tmp_path / "b.tif", exif_of("1989:12:31 23:59:59"))
