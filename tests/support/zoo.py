"""Small pictures of every kind that a museum's machines write, sound ones only.

Each shows an even red, (200, 40, 60) where its kind has colours, but for a few dark rows.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL import Image

SIZE = (320, 240)
RED = (200, 40, 60)
CFA = 32803

Save = Callable[[Path], Any]


@dataclass(frozen=True)
class Page:
    """One picture of a TIFF: its samples, rows × columns × samples, and how they are meant."""

    pixels: np.ndarray
    photometric: int = 2
    subfile: int = 0
    extra: tuple[int, ...] = ()
    inner: tuple["Page", ...] = ()


def red(bands: int = 3, size: tuple[int, int] = SIZE, deep: bool = False) -> np.ndarray:
    """The picture; what lies beyond the colours is 10, as infrared of a sheet might be."""
    width, height = size
    pixels = np.full((height, width, bands), 10, np.uint8)
    for band, value in zip(range(bands), RED if bands >= 3 else RED[:1], strict=False):
        pixels[:, :, band] = value
    pixels[height // 3 : height // 3 + 8] = 20
    return pixels.astype(np.uint16) * 257 if deep else pixels


def save_tiff(path: Path, *pages: Page) -> None:
    """A TIFF, unpacked, one strip a page, with 300 ppi and whatever the pages say."""
    content = bytearray(b"II*\0\0\0\0\0")
    link = 4
    for page in pages:
        at, following = _add(content, page)
        content[link : link + 4] = struct.pack("<L", at)
        link = following
    path.write_bytes(content)


def _add(content: bytearray, page: Page) -> tuple[int, int]:
    """Append a page; where its directory is, and where in it the next one is named."""
    inner = [_add(content, inside)[0] for inside in page.inner]
    height, width, samples = page.pixels.shape
    bits = page.pixels.itemsize * 8

    def put(data: bytes) -> int:
        content.extend(b"\0" * (len(content) % 2))
        content.extend(data)
        return len(content) - len(data)

    strip = put(page.pixels.tobytes())
    entries: list[tuple[int, int, Sequence[int]]] = [
        (254, 4, [page.subfile]),
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits] * samples),
        (259, 3, [1]),
        (262, 3, [page.photometric]),
        (273, 4, [strip]),
        (277, 3, [samples]),
        (278, 4, [height]),
        (279, 4, [page.pixels.nbytes]),
        (282, 5, [300, 1]),
        (283, 5, [300, 1]),
        (296, 3, [2]),
        *([(330, 4, inner)] if inner else []),
        *([(338, 3, page.extra)] if page.extra else []),
        (339, 3, [3 if page.pixels.dtype.kind == "f" else 1] * samples),
    ]
    packed = b""
    for tag, kind, values in entries:
        data = struct.pack("<" + {3: "H", 4: "L", 5: "L"}[kind] * len(values), *values)
        count = len(values) // 2 if kind == 5 else len(values)
        value = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<L", put(data))
        packed += struct.pack("<HHL", tag, kind, count) + value
    at = put(struct.pack("<H", len(entries)) + packed + bytes(4))
    return at, len(content) - 4


def _pillow(mode: str, **options: Any) -> Save:
    return lambda path: Image.fromarray(red()).convert(mode).save(path, **options)


def _tiff(*pages: Page) -> Save:
    return lambda path: save_tiff(path, *pages)


def _vips(interpretation: str, **options: Any) -> Save:
    def save(path: Path) -> None:
        image = pyvips.Image.new_from_array(red()).copy(interpretation="srgb")
        image.colourspace(interpretation).tiffsave(str(path), **options)

    return save


def _lossless_webp(path: Path) -> None:
    Image.fromarray(red()).save(path, lossless=True)


THUMBNAIL = Page(red(3, (64, 48))[:, :, ::-1].copy(), subfile=1)
FULL = Page(red())
MASK = Page(np.full((240, 320, 1), 255, np.uint8), photometric=4, subfile=4)
SENSOR = Page(red(1), photometric=CFA)

READ: dict[str, Save] = {
    "rgb.tif": _pillow("RGB"),
    "lzw.tif": _pillow("RGB", compression="tiff_lzw"),
    "deflate.tif": _pillow("RGB", compression="tiff_adobe_deflate"),
    "packbits.tif": _pillow("RGB", compression="packbits"),
    "in_jpeg.tif": _pillow("RGB", compression="jpeg"),
    "grey.tif": _pillow("L"),
    "bilevel.tif": _pillow("1"),
    "palette.tif": _pillow("P"),
    "cmyk.tif": _pillow("CMYK"),
    "alpha.tif": _pillow("RGBA"),
    "grey_alpha.tif": _pillow("LA"),
    "pyramid.tif": _vips("srgb", pyramid=True, tile=True, tile_width=64, tile_height=64),
    "sub_pyramid.tif": _vips("srgb", pyramid=True, subifd=True, tile=True, tile_width=64),
    "big.tif": _vips("srgb", bigtiff=True),
    "deep.tif": _tiff(Page(red(deep=True))),
    "deep_grey.tif": _tiff(Page(red(1, deep=True), photometric=1)),
    "infrared.tif": _tiff(Page(red(4), extra=(0,))),
    "infrared_untold.tif": _tiff(Page(red(4))),
    "deep_infrared.tif": _tiff(Page(red(4, deep=True), extra=(0,))),
    "five.tif": _tiff(Page(red(5), extra=(0, 0))),
    "two_alphas.tif": _tiff(Page(red(5), extra=(2, 2))),
    "grey_and_more.tif": _tiff(Page(red(2), photometric=1, extra=(0,))),
    "thumbnail_first.tif": _tiff(THUMBNAIL, FULL),
    "thumbnail_unmarked.tif": _tiff(Page(THUMBNAIL.pixels), FULL),
    "thumbnail_last.tif": _tiff(FULL, THUMBNAIL),
    "masked.tif": _tiff(MASK, FULL),
    "inside.tif": _tiff(Page(THUMBNAIL.pixels, subfile=1, inner=(FULL,))),
    "developed.dng": _tiff(Page(THUMBNAIL.pixels, subfile=1, inner=(FULL,))),
    "rgb.jpg": _pillow("RGB", quality=95),
    "progressive.jpg": _pillow("RGB", quality=95, progressive=True),
    "whole_colour.jpg": _pillow("RGB", quality=95, subsampling=0),
    "grey.jpg": _pillow("L"),
    "cmyk.jpg": _pillow("CMYK"),
    "rgb.png": _pillow("RGB"),
    "alpha.png": _pillow("RGBA"),
    "palette.png": _pillow("P"),
    "rgb.webp": _lossless_webp,
    "rgb.jp2": _pillow("RGB"),
    "grey.jp2": _pillow("L"),
    "alpha.jp2": _pillow("RGBA"),
}
"""What the modules read and ingest lets in."""

REFUSED: dict[str, Save] = {
    "floats.tif": _tiff(Page(red().astype(np.float32))),
    "whole_numbers.tif": _tiff(Page(red(1).astype(np.uint32), photometric=1)),
    "lab.tif": _vips("labq"),
    "deep_lab.tif": _vips("labs"),
    "icc_lab.tif": _tiff(Page(red(), photometric=9)),
    "odd_packing.tif": _vips("srgb", compression="webp"),
    "camera.dng": _tiff(Page(THUMBNAIL.pixels, subfile=1, inner=(SENSOR,))),
    "camera.nef": _tiff(Page(THUMBNAIL.pixels, subfile=1, inner=(SENSOR,))),
    "camera.raf": lambda path: path.write_bytes(b"FUJIFILMCCD-RAW 0201" + b"\x55" * 5000),
    "camera.cr3": lambda path: path.write_bytes(b"\0\0\0\x18ftypcrx " + b"\x55" * 5000),
}
"""What no module reads; each alone may go to the archive all the same."""
COLOURLESS = ("grey", "bilevel", "deep_grey")
