"""Every kind of image a digitisation line may deliver ends in a result or a clear error."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image

from hpc.runner.errors import BadInput, Transient
from hpc.runner.imaging.picture import image_errors
from hpc.runner.job import GrantedChild
from hpc.runner.modules import barcode, crop, derive, ocr

CHILDREN = (GrantedChild(400, "c-400"), GrantedChild(72, "c-72"))
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
    "big.tif": lambda sheet, path: pyvips.Image.new_from_array(np.asarray(sheet)).tiffsave(
        str(path), bigtiff=True
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
    # Sound, and of colours that only some modules could read: none begins it.
    "lab.tif": lambda sheet, path: (
        pyvips.Image.new_from_array(np.asarray(sheet)).colourspace("lab").tiffsave(str(path))
    ),
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


def claiming(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is that large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
def test_a_claim_of_gigapixels_is_refused_unread(make_job, module) -> None:
    job = make_job("bomb.png", lambda path: path.write_bytes(claiming(60_000, 60_000)), CHILDREN)
    with pytest.raises(BadInput, match=r"bomb\.png: claims 60000 x 60000.*params\.max_pixels"):
        module.run(job)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
def test_a_claim_that_the_file_cannot_hold_is_refused_by_name(make_job, module) -> None:
    job = make_job("short.png", lambda path: path.write_bytes(claiming(3_000, 2_000)), CHILDREN)
    with pytest.raises(BadInput, match=r"short\.png: cannot be read"):
        module.run(job)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.NAME)
def test_a_single_pixel_is_a_result(make_job, module) -> None:
    job = make_job("pixel.png", Image.new("RGB", (1, 1)).save, CHILDREN, scan_ppi=600)
    assert module.run(job)["details"]["image"] == "pixel.png"


def test_too_little_memory_is_told_with_the_file_and_may_pass(tmp_path: Path) -> None:
    with (
        pytest.raises(Transient, match=r"s\.tif.*resources\.mem"),
        image_errors(tmp_path / "s.tif"),
    ):
        raise MemoryError


def test_a_job_without_any_input_says_so(make_job) -> None:
    with pytest.raises(BadInput, match="names no input"):
        barcode.run(make_job())


def test_libvips_out_of_disk_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    with pytest.raises(Transient, match=r"s\.tif.*No space left"), image_errors(tmp_path / "s.tif"):
        raise pyvips.Error("wbuffer_write: write failed\nunix error: No space left on device")
