"""Every kind of image a digitisation line may deliver ends in a result or a clear error."""

from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from hpc.job.errors import BadInput, Transient
from hpc.job.imaging.picture import naming
from hpc.job.job import Child
from hpc.job.modules import barcode, crop, derive, ocr

CHILDREN = (Child(400, "c-400"), Child(72, "c-72"))
MODULES = (barcode, crop, derive, ocr)
TEXT = "NHMD-42"


@pytest.fixture
def sheet(draw) -> Image.Image:
    return draw({(300, 200): (TEXT, "QRCode")}, size=(700, 500))


def save_16_bit(sheet: Image.Image, path: Path) -> None:
    pixels = np.asarray(sheet).astype(np.uint16) * 257
    pyvips.Image.new_from_array(pixels, interpretation="rgb16").tiffsave(str(path))


ODD = {
    "cmyk.tif": lambda sheet, path: sheet.convert("CMYK").save(path),
    "cmyk.jpg": lambda sheet, path: sheet.convert("CMYK").save(path, quality=95),
    "16bit.tif": save_16_bit,
    "grey16.tif": lambda sheet, path: pyvips.Image.new_from_array(
        np.asarray(sheet.convert("L")).astype(np.uint16) * 257, interpretation="grey16"
    ).tiffsave(str(path)),
    "palette.png": lambda sheet, path: sheet.quantize(16).save(path),
    "palette.tif": lambda sheet, path: sheet.quantize(16).save(path),
    "alpha.png": lambda sheet, path: sheet.convert("RGBA").save(path),
    "alpha.tif": lambda sheet, path: sheet.convert("RGBA").save(path),
    "bilevel.tif": lambda sheet, path: sheet.convert("1").save(path),
    "grey.jpg": lambda sheet, path: sheet.convert("L").save(path, quality=95),
    "png_named.jpg": lambda sheet, path: sheet.save(path, format="PNG"),
    "jpeg_named.tif": lambda sheet, path: sheet.save(path, format="JPEG", quality=95),
    "rotated.jpg": lambda sheet, path: sheet.save(path, quality=95, exif=_lying()),
    "two_pages.tif": lambda sheet, path: sheet.save(
        path, save_all=True, append_images=[sheet.resize((70, 50))]
    ),
    "lab.tif": lambda sheet, path: (
        pyvips.Image.new_from_array(np.asarray(sheet)).colourspace("lab").tiffsave(str(path))
    ),
}


def _lying() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 8
    return exif


@pytest.mark.parametrize("name", ODD)
def test_an_odd_but_sound_image_is_read_by_every_module(make_job, sheet, name: str) -> None:
    job = make_job(name, lambda path: ODD[name](sheet, path), CHILDREN, scan_ppi=600)
    assert barcode.run(job)["barcode"]["barcodes"] == [TEXT]
    assert crop.run(job)["details"]["box"] is not None
    for derivative in derive.run(job)["derivatives"]:
        with Image.open(job.folder / "derived" / derivative["file"]["name"]) as made:
            assert max(made.size) in (467, 84)
            made.load()
            assert made.mode in (("L", "RGB") if made.format == "JPEG" else made.mode)


@pytest.mark.parametrize("name", ["cmyk.jpg", "16bit.tif", "alpha.png", "bilevel.tif"])
def test_an_odd_but_sound_image_is_shown_to_the_reader(make_job, sheet, name: str) -> None:
    ocr.run(make_job(name, lambda path: ODD[name](sheet, path)))


def cut(sheet: Image.Image, path: Path, **how: object) -> None:
    sheet.save(path, **how)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


BROKEN = {
    "empty.tif": lambda sheet, path: path.write_bytes(b""),
    "text.jpg": lambda sheet, path: path.write_text("not an image at all"),
    "cut.jpg": lambda sheet, path: cut(sheet, path, quality=95),
    "cut.png": lambda sheet, path: cut(sheet, path),
    "cut.tif": lambda sheet, path: cut(sheet, path, compression="tiff_lzw"),
}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_image_is_refused_by_name(make_job, sheet, name: str, module) -> None:
    job = make_job(name, lambda path: BROKEN[name](sheet, path), CHILDREN, scan_ppi=600)
    with pytest.raises(BadInput, match=name):
        module.run(job)
    derived = job.folder / "derived"
    assert not derived.exists() or list(derived.iterdir()) == []


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
def test_a_decompression_bomb_is_refused_unread(make_job, module) -> None:
    def save(path: Path) -> None:
        pyvips.Image.black(60_000, 60_000).tiffsave(str(path), compression="deflate", tile=True)

    job = make_job("bomb.tif", save, CHILDREN)
    with pytest.raises(BadInput, match=r"bomb\.tif: claims 60000 x 60000.*params\.max_pixels"):
        module.run(job)


def test_a_job_without_any_input_says_so(make_job) -> None:
    with pytest.raises(BadInput, match="names no input"):
        barcode.run(make_job())


def test_libvips_out_of_disk_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    with pytest.raises(Transient, match=r"s\.tif.*No space left"), naming(tmp_path / "s.tif"):
        raise pyvips.Error("wbuffer_write: write failed\nunix error: No space left on device")
