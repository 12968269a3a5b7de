"""Smaller copies of an image, made as a stream: memory does not grow with the image.

ICC profile, EXIF and orientation stay; nothing is ever enlarged. A sheet that lies askew is
cut out and set straight on the way.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import pyvips

from hpc.runner.errors import BadInput
from hpc.runner.imaging import exif
from hpc.runner.imaging.picture import (
    MAX_PIXELS,
    image_errors,
    open_image,
    orientation_of,
    plain,
    upright_size,
)
from hpc.runner.imaging.rectangle import Rectangle

MM_PER_INCH = 25.4
JPEG_QUALITY = 85
BIG_TIFF_BYTES = 3_500_000_000
LASTING = frozenset({"srgb", "rgb", "rgb16", "b-w", "grey16", "cmyk"})
"""Kinds of pixels every program reads from a TIFF; others (Lab, measured values) become sRGB."""
STRAIGHT = 0.1
"""Degrees below which pixels stay as they are: what a sheet's edge strays is hardly seen."""
ROUNDING_PX = 2
SMALL_PX = 200
"""What is itself less than that on its shorter side may have any smaller copy."""
FORMATS = {"tif": ".tif", "jpeg": ".jpg"}


@dataclass(frozen=True)
class Scaled:
    """What was made: `ppi` is what the file truly has, None where it is unknown.

    `size_before` is that of the image as stored, or of the part cut out of it, at full size.
    """

    width: int
    height: int
    scale: float
    ppi: float | None
    size_before: tuple[float, float]


def write_scaled(
    source: Path,
    target: Path,
    *,
    file_format: str,
    ppi: float,
    source_ppi: float | None,
    max_side: int | None = None,
    cut: Rectangle | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Scaled:
    """Write `source` at `ppi` to `target` ("tif": LZW, "jpeg": quality 85).

    Unknown source resolution: pixel for pixel. `max_side` bounds the longer side, whatever
    the resolution. `cut`, in pixels of the upright image: that part alone, its sides upright.
    Raises BadInput, Transient, OSError; BadInput also for a size that makes no sense.
    """
    image = open_image(source, max_pixels)
    with image_errors(source):
        tags = _tags(source, image)
        if image.interpretation not in LASTING:
            image = plain(image)
        part = cut and cut.stored(orientation_of(image), upright_size(image))
        size_before = _size_before(image, part)
        scale = min(1.0, ppi / source_ppi) if source_ppi else 1.0
        if max_side is not None:
            scale = min(scale, max_side / max(size_before))
        made = image if scale == 1.0 else image.resize(scale)
        if part is not None:
            made = cut_out(made, part.scaled(scale))
        true_ppi = source_ppi * scale if source_ppi else None
        if true_ppi:
            made = made.copy(xres=true_ppi / MM_PER_INCH, yres=true_ppi / MM_PER_INCH)
        if file_format == "jpeg":
            _write_jpeg(made, target, tags)
        else:
            _write_tiff(made, target, tags)
    true_ppi = true_ppi and round(true_ppi, 1)
    return Scaled(made.width, made.height, round(scale, 6), true_ppi, size_before)


def _size_before(image: pyvips.Image, part: Rectangle | None) -> tuple[float, float]:
    """What is made smaller: the image, or what `cut_out` takes of it at full size."""
    if part is None:
        return image.width, image.height
    if abs(part.angle) < STRAIGHT:  # the upright box around it, within the frame
        return part.box(image.width, image.height)[2:]
    return part.width, part.height


def size_problem(made: Scaled, min_side: int) -> str | None:
    """Why the size of what was made makes no sense; None: it does.

    A reduced copy whose shorter side is under `min_side`, one larger than what it was made of,
    or of another shape than rounding to whole pixels explains.
    """
    sides = ((made.width, made.size_before[0]), (made.height, made.size_before[1]))
    if any(abs(side - before * made.scale) > ROUNDING_PX for side, before in sides):
        return "it has not the shape of what it was made of"
    if any(side > before + ROUNDING_PX for side, before in sides):
        return "it is larger than what it was made of"
    small_before = min(made.size_before) < SMALL_PX
    if made.scale < 1 and min(made.width, made.height) < min_side and not small_before:
        return f"its shorter side is under {min_side} pixels"
    return None


def cut_out(image: pyvips.Image, part: Rectangle) -> pyvips.Image:
    """`part` of an image that is read from top to bottom, with its sides upright.

    A slanted row crosses many rows of the image, in no order a stream could serve, so these
    pixels go through a file on disk that is gone with the image; memory stays flat. Raises
    BadInput when it lies outside the image.
    """
    if not (0 < part.x < image.width and 0 < part.y < image.height):
        raise BadInput("the sheet to cut out lies outside the image; look for it again")
    if abs(part.angle) < STRAIGHT:
        return image.crop(*part.box(image.width, image.height))
    around = part.box(image.width, image.height)
    on_disk = pyvips.Image.new_temp_file("%s.v")
    image.crop(*around).write(on_disk)
    sin, cos = math.sin(math.radians(part.angle)), math.cos(math.radians(part.angle))
    width, height = max(1, round(part.width)), max(1, round(part.height))
    return on_disk.affine(
        [cos, sin, -sin, cos],
        idx=around[0] - part.x,
        idy=around[1] - part.y,
        odx=width / 2,
        ody=height / 2,
        oarea=[0, 0, width, height],
        interpolate=pyvips.Interpolate.new("bicubic"),
        extend="copy",
    )


def _tags(source: Path, image: pyvips.Image) -> exif.Tags:
    fields = image.get_fields()
    if "exif-data" in fields:
        return exif.tags_of_blob(bytes(image.get("exif-data")))
    is_tiff = "vips-loader" in fields and str(image.get("vips-loader")).startswith("tiffload")
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
