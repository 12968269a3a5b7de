"""Derivatives: their size, their names, what they keep of the original."""

import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageChops, ImageCms, ImageDraw

from hpc.runner.errors import BadInput
from hpc.runner.job import GrantedChild
from hpc.runner.modules import derive

BOTH = (GrantedChild(400, "child-001"), GrantedChild(72, "child-002"))
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TAKEN = "2026:11:20 10:11:12"


def picture(mode: str = "RGB") -> Image.Image:
    return Image.linear_gradient("L").resize((1200, 800)).convert(mode)


def files(job) -> dict[str, Path]:
    return {path.name: path for path in (job.folder / "derived").iterdir()}


def seen(path: Path) -> tuple[tuple[int, int], int]:
    with Image.open(path) as made:
        return made.size, round(float(made.info["dpi"][0]))


def test_a_600_ppi_scan_gives_a_400_ppi_tiff_and_a_72_ppi_jpeg(make_job) -> None:
    job = make_job("s.tif", lambda path: picture().save(path, dpi=(600, 600)), BOTH)
    found = derive.run(job)
    tif, jpeg = found["derivatives"]
    assert (tif["guid"], tif["ppi"], tif["file_format"], tif["payload_type"]) == (
        "child-001",
        400,
        "tif",
        "image",
    )
    assert (jpeg["file_format"], jpeg["payload_type"]) == ("jpeg", "thumbnail")
    made = files(job)
    assert set(made) == {"child-001.tif", "child-002.jpg"}
    assert seen(made["child-001.tif"]) == ((800, 533), 400)
    assert seen(made["child-002.jpg"]) == ((144, 96), 72)
    for derivative in found["derivatives"]:
        content = made[derivative["file"]["name"]].read_bytes()
        assert derivative["file"]["crc32"] == zlib.crc32(content)
        assert derivative["file"]["size_bytes"] == len(content)
    assert found["warning"] is None


def test_the_scan_resolution_is_looked_for_in_order(make_job) -> None:
    def said(dpi: int, metadata=None, **params) -> tuple:
        job = make_job(
            "s.tif",
            lambda path: picture().save(path, dpi=(dpi, dpi)),
            BOTH,
            metadata=metadata,
            **params,
        )
        details = derive.run(job)["details"]
        return details["source_ppi"], details["source_ppi_from"]

    assert said(600, {"tags": {"scan_ppi": "800"}}, scan_ppi=1200) == (1200, "params")
    assert said(600, {"tags": {"scan_ppi": "800"}}) == (800, "metadata")
    assert said(600) == (600, "file")
    assert said(72) == (None, "nobody")
    assert said(96) == (None, "nobody")


def with_ruler(per_mm: float, ticks: int = 60, every: int = 10, ink: int = 20) -> Image.Image:
    """A card with strokes a millimetre apart, each `every`th one longer."""
    sheet = Image.new("RGB", (1200, 800), (236, 232, 220))
    pen = ImageDraw.Draw(sheet)
    for n in range(ticks):
        x = 100 + round(n * per_mm)
        pen.rectangle((x - 1, 300, x + 1, 360 if n % every == 0 else 330), fill=(ink, ink, ink))
    return sheet


def test_a_ruler_says_what_nobody_else_does(make_job) -> None:
    job = make_job("s.png", with_ruler(15.748).save, BOTH)
    found = derive.run(job)
    assert found["details"]["source_ppi_from"] == "ruler"
    assert found["details"]["source_ppi"] == pytest.approx(400, rel=0.005)
    assert found["details"]["ruler"]["ticks"] == 60
    assert found["warning"] is None


def test_a_ruler_outranks_the_file_and_says_so(make_job) -> None:
    job = make_job("s.png", lambda path: with_ruler(15.748).save(path, dpi=(600, 600)), BOTH)
    found = derive.run(job)
    assert found["details"]["source_ppi_from"] == "ruler"
    assert "the file 600" in found["warning"]


@pytest.mark.parametrize(
    ("ticks", "every"), [(18, 10), (60, 8), (60, 2)], ids=["too short", "inches", "halves"]
)
def test_what_may_be_no_millimetre_ruler_is_not_believed(make_job, ticks, every) -> None:
    job = make_job("s.png", with_ruler(15.748, ticks, every).save, BOTH)
    assert derive.run(job)["details"]["source_ppi_from"] == "nobody"


@pytest.mark.parametrize("ticks", [20, 21])
def test_twenty_ticks_are_enough(make_job, ticks: int) -> None:
    job = make_job("s.png", with_ruler(15.748, ticks, every=5).save, BOTH)
    assert derive.run(job)["details"]["ruler"]["ticks"] == ticks


@pytest.mark.parametrize(("apart", "believed"), [(0.002, True), (0.028, False)])
def test_rulers_that_disagree_by_two_percent_are_not_believed(
    make_job, apart: float, believed: bool
) -> None:
    sheet = Image.new("RGB", (1200, 800), (236, 232, 220))
    pen = ImageDraw.Draw(sheet)
    for row, per_mm in enumerate((15.748 * (1 - apart), 15.748, 15.748 * (1 + apart))):
        for n in range(60):
            x, y = 100 + round(n * per_mm), 300 + 80 * row
            pen.rectangle((x - 1, y, x + 1, y + 40), fill=(20, 20, 20))
    found = derive.run(make_job("s.png", sheet.save, BOTH))["details"]
    assert (found["source_ppi_from"] == "ruler") is believed
    if believed:
        assert found["ruler"]["spread"] < 0.02


def test_what_the_workstation_says_outranks_a_ruler(make_job) -> None:
    save = with_ruler(15.748).save
    said = {"tags": {"scan_ppi": "800"}}
    found = derive.run(make_job("s.png", save, BOTH, metadata=said))["details"]
    assert (found["source_ppi"], found["source_ppi_from"]) == (800, "metadata")
    found = derive.run(make_job("s.png", save, BOTH, metadata=said, scan_ppi=1200))["details"]
    assert (found["source_ppi"], found["source_ppi_from"]) == (1200, "params")


@pytest.mark.parametrize("turned", [0, 2, 90])
@pytest.mark.parametrize("light", [False, True], ids=["dark on light", "light on dark"])
def test_a_ruler_is_read_turned_and_inverted(make_job, turned: int, light: bool) -> None:
    sheet = with_ruler(11.811).rotate(turned, Image.Resampling.BICUBIC, fillcolor=(236, 232, 220))
    sheet = ImageChops.invert(sheet) if light else sheet
    found = derive.run(make_job("s.jpg", lambda path: sheet.save(path, quality=90), BOTH))
    assert found["details"]["source_ppi"] == pytest.approx(300, rel=0.01)


def test_a_thumbnail_of_wide_colours_shows_right_where_nobody_manages_them(make_job) -> None:
    red = pyvips.Image.new_from_array(np.full((60, 60, 3), (200, 60, 60), np.uint8))
    wide = red.icc_export(output_profile="p3", pcs="xyz")
    stored = wide.numpy()[0, 0].astype(int)
    job = make_job("s.tif", lambda path: wide.tiffsave(str(path)), BOTH, scan_ppi=400)
    derive.run(job)
    with Image.open(files(job)["child-002.jpg"]) as made:
        assert abs(made.getpixel((5, 5))[0] - 200) < 4
        assert abs(made.getpixel((5, 5))[1] - 60) < 6
    with Image.open(files(job)["child-001.tif"]) as made:
        assert np.abs(np.array(made.getpixel((5, 5))) - stored).max() <= 1, "the copy keeps them"
        assert made.info["icc_profile"]


def test_an_unknown_resolution_is_not_resampled_and_says_so(make_job) -> None:
    job = make_job("s.png", picture().save, BOTH)
    found = derive.run(job)
    assert "not resampled" in found["warning"]
    assert {seen(path)[0] for path in files(job).values()} == {(1200, 800)}


def test_a_coarser_scan_is_never_enlarged(make_job) -> None:
    job = make_job("s.tif", lambda path: picture().save(path, dpi=(300, 300)), BOTH)
    made = derive.run(job)["details"]["made"][0]
    assert (made["size"], made["ppi"]) == ([1200, 800], 300.0)


@pytest.mark.parametrize("kind", ["jpg", "tif"])
def test_profile_orientation_and_exif_are_kept(make_job, kind: str) -> None:
    def save(path: Path) -> None:
        exif = Image.Exif()
        exif[0x0112], exif[0x010F], exif[0x8298] = 6, "Maker", "NHMD"
        if kind == "jpg":
            exif.get_ifd(0x8769)[0x9003] = TAKEN
        picture().save(path, exif=exif, icc_profile=PROFILE, dpi=(600, 600))

    job = make_job(f"s.{kind}", save, BOTH)
    derive.run(job)
    for path in files(job).values():
        with Image.open(path) as made:
            exif = made.getexif()
            assert (exif[0x0112], exif[0x010F], exif[0x8298]) == (6, "Maker", "NHMD")
            assert made.info["icc_profile"] == PROFILE
            if kind == "jpg":
                assert exif.get_ifd(0x8769)[0x9003] == TAKEN


def test_making_them_again_gives_the_same_bytes(make_job) -> None:
    job = make_job("s.tif", lambda path: picture().save(path, dpi=(600, 600)), BOTH)
    first = derive.run(job)["derivatives"]
    assert derive.run(job)["derivatives"] == first
    assert len(files(job)) == 2


def test_a_ppi_without_a_named_derivative_is_an_error(make_job) -> None:
    job = make_job("s.png", picture().save, BOTH[:1])
    with pytest.raises(BadInput, match=r"params\.ppi.*72"):
        derive.run(job)


def test_a_child_guid_that_is_a_path_is_refused(make_job) -> None:
    job = make_job("s.png", picture().save, (GrantedChild(72, "../../evil"),), ppi=[72])
    with pytest.raises(BadInput, match="plain file name"):
        derive.run(job)


def test_a_resolution_that_is_no_number_is_named(make_job) -> None:
    with pytest.raises(BadInput, match=r"params\.scan_ppi"):
        derive.run(make_job("s.png", picture().save, BOTH, scan_ppi="high"))
