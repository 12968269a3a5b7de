"""EXIF that is added to a TIFF after it was written."""

import os
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from hpc.runner.imaging import exif

TAGS = {
    0x010F: "Maker of cameras",
    0x8298: "NHMD",
    exif.EXIF: {0x9003: "2026:11:20 10:11:12", 0x829A: 0.125},
    exif.GPS: {1: "N"},
}
BEYOND_4_GB = 5 * 10**9 + 1


@pytest.mark.parametrize("big", [False, True], ids=["classic", "beyond 4 GB"])
def test_grafted_tags_are_read_and_the_pixels_stay(tmp_path: Path, big: bool) -> None:
    path = tmp_path / "scan.tif"
    pixels = np.arange(9000, dtype=np.uint8).reshape(50, 60, 3)
    pyvips.Image.new_from_array(pixels).tiffsave(str(path), bigtiff=big)
    if big:
        # A hole on disk: the tags must stand where four bytes cannot point.
        os.truncate(path, BEYOND_4_GB)
    assert exif.graft(path, TAGS)
    assert exif.tags_of_tiff(path) == TAGS
    with Image.open(path) as image:
        tags = image.getexif()
        assert tags[0x010F] == "Maker of cameras"
        assert tags.get_ifd(exif.EXIF) == TAGS[exif.EXIF]
        assert tags.get_ifd(exif.GPS) == TAGS[exif.GPS]
        assert np.array_equal(np.asarray(image), pixels)
    assert np.array_equal(pyvips.Image.new_from_file(str(path)).numpy(), pixels)


def test_what_a_file_says_already_stays(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    Image.new("RGB", (9, 9)).save(path, artist="Somebody", compression="tiff_lzw")
    assert exif.graft(path, {0x013B: "Somebody else", 0x8298: "NHMD"})
    with Image.open(path) as image:
        assert (image.getexif()[0x013B], image.getexif()[0x8298]) == ("Somebody", "NHMD")


def test_another_kind_of_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    path.write_bytes(b"MM\0*" + bytes(20))
    assert not exif.graft(path, TAGS)
    assert path.read_bytes() == b"MM\0*" + bytes(20)
