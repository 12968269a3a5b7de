"""Derivatives: their size, their names, what they keep of the original."""

import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from hpc.job.errors import BadInput
from hpc.job.job import Child
from hpc.job.modules import derive

BOTH = (Child(400, "child-001"), Child(72, "child-002"))
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
    job = make_job("s.png", picture().save, (Child(72, "../../evil"),), ppi=[72])
    with pytest.raises(BadInput, match="plain file name"):
        derive.run(job)


def test_a_resolution_that_is_no_number_is_named(make_job) -> None:
    with pytest.raises(BadInput, match=r"params\.scan_ppi"):
        derive.run(make_job("s.png", picture().save, BOTH, scan_ppi="high"))
