"""Smaller copies of an image, made as a stream: memory does not grow with the image.

ICC profile, EXIF and orientation stay; nothing is ever enlarged.
"""

from dataclasses import dataclass
from pathlib import Path

import pyvips

from hpc.job.imaging import exif
from hpc.job.imaging.picture import MAX_PIXELS, naming, open_image, plain

MM_PER_INCH = 25.4
NOT_A_SCAN = frozenset({1.0, 25.4, 72.0, 96.0})
"""What programs write when they do not know: these say nothing about the scanner."""
JPEG_QUALITY = 85
BIG_TIFF_BYTES = 3_500_000_000
LASTING = frozenset({"srgb", "rgb", "rgb16", "b-w", "grey16", "cmyk"})
"""Kinds of pixels every program reads from a TIFF; others (Lab, measured values) become sRGB."""
FORMATS = {"tif": ".tif", "jpeg": ".jpg"}


@dataclass(frozen=True)
class Scaled:
    """What was made: `ppi` is what the file truly has, None where nobody knows."""

    width: int
    height: int
    scale: float
    ppi: float | None


def ppi_in_file(path: Path, max_pixels: int = MAX_PIXELS) -> float | None:
    """The resolution the file claims, pixels per inch; None when it says nothing credible."""
    ppi = round(open_image(path, max_pixels).xres * MM_PER_INCH, 1)
    return None if ppi in NOT_A_SCAN or ppi < 1 else ppi


def write_scaled(
    source: Path,
    target: Path,
    *,
    file_format: str,
    ppi: float,
    source_ppi: float | None,
    max_pixels: int = MAX_PIXELS,
) -> Scaled:
    """Write `source` at `ppi` to `target` ("tif": LZW, "jpeg": quality 85).

    Unknown source resolution: pixel for pixel. Raises BadInput, Transient, OSError.
    """
    image = open_image(source, max_pixels)
    with naming(source):
        tags = _tags(source, image)
        if image.interpretation not in LASTING:
            image = plain(image)
        scale = min(1.0, ppi / source_ppi) if source_ppi else 1.0
        made = image if scale == 1.0 else image.resize(scale)
        true_ppi = source_ppi * scale if source_ppi else None
        if true_ppi:
            made = made.copy(xres=true_ppi / MM_PER_INCH, yres=true_ppi / MM_PER_INCH)
        if file_format == "jpeg":
            _write_jpeg(made, target, tags)
        else:
            _write_tiff(made, target, tags)
    return Scaled(made.width, made.height, round(scale, 6), true_ppi and round(true_ppi, 1))


def _tags(source: Path, image: pyvips.Image) -> exif.Tags:
    if "exif-data" in image.get_fields():
        return exif.tags_of_blob(bytes(image.get("exif-data")))
    is_tiff = str(image.get("vips-loader")).startswith("tiffload")
    return exif.tags_of_tiff(source) if is_tiff else {}


def _write_tiff(image: pyvips.Image, target: Path, tags: exif.Tags) -> None:
    raw_bytes = image.width * image.height * image.bands * (2 if image.format == "ushort" else 1)
    image.tiffsave(
        str(target),
        compression="lzw",
        predictor="horizontal",
        resunit="inch",
        bigtiff=raw_bytes > BIG_TIFF_BYTES,
    )
    if tags:
        exif.graft(target, tags)


def _write_jpeg(image: pyvips.Image, target: Path, tags: exif.Tags) -> None:
    """JPEG holds 8 bits and no alpha. Whoever looks at it may not manage colours, so they
    become sRGB where they were something else (CMYK, a wider profile)."""
    if _needs_srgb(image):
        image = image.icc_transform("srgb", embedded=True)
    elif image.format == "ushort":
        image = image.colourspace("b-w" if image.bands < 3 else "srgb")
    if image.hasalpha():
        image = image.flatten(background=255)
    if tags and "exif-data" not in image.get_fields():
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "exif-data", exif.blob_of(tags))
    image.jpegsave(str(target), Q=JPEG_QUALITY, optimize_coding=True)


def _needs_srgb(image: pyvips.Image) -> bool:
    """Whether a profile says that these are colours, and others than sRGB."""
    if image.interpretation == "cmyk":
        return True
    if "icc-profile-data" not in image.get_fields() or image.bands < 3:
        return False
    named = bytes(image.get("icc-profile-data")).replace(b"\0", b"")
    return b"sRGB" not in named and b"IEC61966" not in named
