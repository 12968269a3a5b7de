"""A sheet that crop was sure of is cut out and set straight by derive."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw, ImageOps

from hpc.runner.errors import BadInput
from hpc.runner.job import GrantedChild
from hpc.runner.modules import crop, derive

BOTH = (GrantedChild(400, "child-400"), GrantedChild(72, "child-72"))
PAPER = (80, 120, 500, 700)
MARK = 30
"""From the paper's corners to the middle of a mark."""
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def skewed(turned: float) -> Image.Image:
    """Paper with a mark near three of its corners (red, green, blue), turned on a dark table."""
    page = Image.new("RGB", (700, 1000), (50, 52, 55))
    pen = ImageDraw.Draw(page)
    x, y, width, height = PAPER
    pen.rectangle((x, y, x + width - 1, y + height - 1), fill=(240, 234, 218))
    pen.ellipse((230, 320, 430, 620), fill=(70, 110, 50))
    for at, ink in (
        ((x + MARK, y + MARK), (255, 0, 0)),
        ((x + width - MARK, y + MARK), (0, 200, 0)),
        ((x + MARK, y + height - MARK), (0, 0, 255)),
    ):
        pen.ellipse((at[0] - 8, at[1] - 8, at[0] + 8, at[1] + 8), fill=ink)
    return page.rotate(turned, Image.Resampling.BICUBIC, fillcolor=(50, 52, 55))


def marks(image: Image.Image) -> list[np.ndarray]:
    """The middles of the red, the green and the blue mark."""
    pixels = np.asarray(image.convert("RGB")).astype(int)
    middles = []
    for band in range(3):
        others = [other for other in range(3) if other != band]
        inked = pixels[:, :, band] - pixels[:, :, others].max(axis=2) > 90
        middles.append(np.argwhere(inked).mean(axis=0)[::-1])
    return middles


def made_of(job) -> dict[str, Path]:
    folder = job.folder / "derived"
    return {path.suffix: path for path in folder.iterdir()}


@pytest.mark.parametrize("turned", [-4, 0, 0.7, 11])
def test_a_skewed_sheet_comes_out_straight_and_whole(make_job, turned: float) -> None:
    page = skewed(turned)
    told = crop.run(make_job("s.png", page.save))["details"]
    job = make_job("s.png", page.save, BOTH, results={"cropping": told}, scan_ppi=800, cut=True)
    details = derive.run(job)["details"]
    assert details["cut"]["angle"] == pytest.approx(-turned, abs=0.1)
    with Image.open(made_of(job)[".tif"]) as made:
        assert made.size == pytest.approx((250, 350), rel=0.02)
        red, green, blue = marks(made)
    across, down = green - red, blue - red
    assert math.degrees(math.atan2(across[1], across[0])) == pytest.approx(0, abs=0.3)
    assert math.degrees(math.atan2(-down[0], down[1])) == pytest.approx(0, abs=0.3)
    assert np.hypot(*across) == pytest.approx((PAPER[2] - 2 * MARK) / 2, rel=0.01)
    assert red == pytest.approx((MARK / 2, MARK / 2), abs=4)


@pytest.mark.parametrize("orientation", [3, 5, 6])
def test_it_is_cut_the_same_from_an_image_stored_lying(make_job, orientation: int) -> None:
    back = {3: 3, 5: 5, 6: 8, 8: 6}[orientation]
    stored = skewed(2)
    stored.getexif()[0x0112] = back
    stored = ImageOps.exif_transpose(stored)
    exif = Image.Exif()
    exif[0x0112], exif[0x8298] = orientation, "NHMD"

    def save(path: Path) -> None:
        stored.save(path, exif=exif, icc_profile=PROFILE, quality=95)

    told = crop.run(make_job("s.jpg", save))["details"]
    job = make_job("s.jpg", save, BOTH, results={"cropping": told}, scan_ppi=800, cut=True)
    derive.run(job)
    for path in made_of(job).values():
        with Image.open(path) as made:
            assert made.info["icc_profile"] == PROFILE
            assert (made.getexif()[0x0112], made.getexif()[0x8298]) == (orientation, "NHMD")
            shown = ImageOps.exif_transpose(made)
        if path.suffix == ".tif":
            assert shown.size == pytest.approx((250, 350), rel=0.02)
            assert marks(shown)[0] == pytest.approx((MARK / 2, MARK / 2), abs=4)


def told(**more: object) -> dict[str, dict[str, object]]:
    corners = [[10, 10], [110, 10], [110, 60], [10, 60]]
    crop_result = {"image": "s.png", "what": "sheet", "sure": True, "corners": corners}
    return {"cropping": {**crop_result, **more}}


def size_of(make_job, results: dict, **params: object) -> list[int]:
    image = Image.new("RGB", (300, 200))
    params = {"scan_ppi": 400, "cut": True} | params
    job = make_job("s.png", image.save, BOTH, results=results, **params)
    return derive.run(job)["details"]["made"][0]["size"]


def test_only_a_sure_sheet_of_this_image_is_cut(make_job) -> None:
    whole = [300, 200]
    assert size_of(make_job, told()) == [100, 50]
    assert size_of(make_job, told(sure=False)) == whole
    assert size_of(make_job, told(what="specimen")) == whole
    assert size_of(make_job, told(image="another.png")) == whole
    assert size_of(make_job, told(corners=None)) == whole
    assert size_of(make_job, told(), cut=False) == whole


def test_corners_that_are_none_are_named(make_job) -> None:
    with pytest.raises(BadInput, match=r"results\.cropping\.corners"):
        size_of(make_job, told(corners=[1, 2, 3, 4]))


def test_a_sheet_outside_the_image_is_not_cut_to_nothing(make_job) -> None:
    far = [[910, 10], [990, 10], [990, 60], [910, 60]]
    with pytest.raises(BadInput, match="outside the image"):
        size_of(make_job, told(corners=far))
