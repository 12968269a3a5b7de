"""Opening an image of unknown quality: in full or small, upright, in 8-bit sRGB or grey.

libvips reads it all as a stream, but for JPEG 2000, which Pillow decodes in memory. What
cannot be read becomes an error naming the file; what merely fails for lack of disk or memory
is told apart, since that may pass.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from hpc.runner.errors import BadInput, Transient, WrongKind
from hpc.runner.imaging.pages import Picture, check_size, picture_of
from hpc.runner.imaging.rectangle import LYING

MAX_PIXELS = 1_000_000_000
"""More than any camera or scanner of a digitisation line gives; beyond it is a bomb."""
PASSING = ("no space left", "disk quota", "input/output error", "out of memory", "unable to alloc")

JP2_KINDS = {
    "L": "b-w",
    "LA": "b-w",
    "I;16": "grey16",
    "RGB": "srgb",
    "RGBA": "srgb",
    "CMYK": "cmyk",
}
"""What libvips calls the pixels of each mode in which Pillow opens a JPEG 2000."""

Grey = NDArray[np.uint8]
"""Rows by columns, 0 black."""
Rgb = NDArray[np.uint8]
"""Rows by columns by red, green, blue."""


@contextmanager
def image_errors(path: Path) -> Iterator[None]:
    """libvips's errors, and too little memory, as BadInput or Transient naming `path`."""
    try:
        yield
    except MemoryError as error:
        raise Transient(
            f"{path.name}: needs more memory than this job has; raise the stage's resources.mem"
        ) from error
    except pyvips.Error as error:
        reason = " ".join(part.strip() for part in str(error).splitlines() if part.strip())
        if any(words in reason.lower() for words in PASSING):
            raise Transient(f"{path.name}: the site's disk or memory: {reason}") from error
        raise BadInput(
            f"{path.name}: cannot be read as an image, it is damaged, cut short or of another "
            f"kind ({reason}); scan or copy it again"
        ) from error


def open_image(path: Path, max_pixels: int = MAX_PIXELS) -> pyvips.Image:
    """The full-size picture of a file, to be read once from top to bottom; its header only.

    Samples that are neither colour nor transparency (infrared) are left out. What is cut short
    or damaged fails as it is read, never gives black rows; a JPEG's corrupt block does not fail.
    Raises WrongKind, and BadInput for an empty file, no image, or more than `max_pixels`.
    """
    # Another file may have had this name before, and loaders nobody fuzzes stay shut.
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)
    if path.stat().st_size == 0:
        raise BadInput(f"{path.name}: is empty (0 bytes); copy it again")
    picture = picture_of(path)
    if picture.kind == "jp2":
        return _open_jp2(path, max_pixels)
    with image_errors(path):
        # `truncated` would let a TIFF pass that ends in the middle of its pixels.
        image = pyvips.Image.new_from_file(
            str(path), access="sequential", fail_on="error", **_place(picture)
        )
    check_size(path, image.width, image.height, max_pixels)
    return _colours_only(image, picture)


def _open_jp2(path: Path, max_pixels: int) -> pyvips.Image:
    """The picture of a JPEG 2000, which the libvips of the wheels cannot read, with its profile."""
    try:
        with (
            image_errors(path),
            path.open("rb") as stream,
            Jpeg2KImageFile(stream, str(path)) as image,
        ):
            check_size(path, image.width, image.height, max_pixels)
            image.load()
            read = image.convert("RGB") if image.mode == "YCbCr" else image
            mode, profile = read.mode, image.info.get("icc_profile")
            pixels = np.ascontiguousarray(np.asarray(read))
    except (SyntaxError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BadInput(
            f"{path.name}: cannot be read as an image, it is damaged or cut short ({error}); "
            "scan or copy it again"
        ) from error
    if mode not in JP2_KINDS:
        raise WrongKind(f"{path.name}: is a JPEG 2000 of the kind {mode}; export it as a TIFF")
    made = pyvips.Image.new_from_array(pixels).copy(interpretation=JP2_KINDS[mode])
    if profile:
        made.set_type(pyvips.GValue.blob_type, "icc-profile-data", bytes(profile))
    return made


def _place(picture: Picture) -> dict[str, int]:
    """Where in a file of several pictures libvips finds this one."""
    directory = picture.directory
    if directory is None or (directory.page, directory.sub) == (0, None):
        return {}
    inner = {} if directory.sub is None else {"subifd": directory.sub}
    return {"page": directory.page, **inner}


def _colours_only(image: pyvips.Image, picture: Picture) -> pyvips.Image:
    """Without the samples beyond colour and transparency, called what is left."""
    colours = picture.colours
    if colours is None or colours >= image.bands:
        return image
    return _first_bands(image, colours)


def _first_bands(image: pyvips.Image, bands: int) -> pyvips.Image:
    """The first 1, 3 or 4 samples of each pixel, as grey, RGB or CMYK."""
    deep = image.format == "ushort"
    kinds = {1: "grey16" if deep else "b-w", 3: "rgb16" if deep else "srgb", 4: "cmyk"}
    return image.extract_band(0, n=bands).copy(interpretation=kinds[bands])


def orientation_of(image: pyvips.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 is upright."""
    return int(image.get("orientation")) if "orientation" in image.get_fields() else 1


def upright_size(image: pyvips.Image) -> tuple[int, int]:
    """Width and height as it is looked at."""
    size = (image.width, image.height)
    return size[::-1] if orientation_of(image) in LYING else size


def plain(image: pyvips.Image) -> pyvips.Image:
    """8-bit sRGB or grey without alpha, whatever it was: CMYK, 16 bit, palette, Lab."""
    if image.interpretation == "multiband":
        image = _first_bands(image, 1 if image.bands < 3 else 3)
    image = image.colourspace("b-w" if image.bands < 3 else "srgb")
    if image.hasalpha():
        image = image.flatten(background=255)
    return image.cast("uchar")


def _upright(image: pyvips.Image) -> pyvips.Image:
    """Turned upright; rows become columns only in memory, so decode first."""
    return image if orientation_of(image) == 1 else image.copy_memory().autorot()


def read_grey(path: Path, max_pixels: int = MAX_PIXELS) -> Grey:
    """The whole image in grey, upright, at full size: a byte a pixel, two while it is turned.

    Raises BadInput, Transient.
    """
    image = open_image(path, max_pixels)
    with image_errors(path):
        return as_grey(_upright(plain(image).colourspace("b-w")))


def read_colour(
    path: Path,
    max_pixels: int = MAX_PIXELS,
    *,
    max_side: float = math.inf,
    max_read: float = math.inf,
) -> tuple[pyvips.Image, tuple[int, int]]:
    """A copy in sRGB, upright, in memory, and the full width and height.

    It is reduced to a longer side of `max_side` and to `max_read` pixels where it has more;
    memory stays near that of the copy. Raises BadInput, Transient.
    """
    image = open_image(path, max_pixels)
    size = upright_size(image)
    scale = min(max_side / max(size), (max_read / (size[0] * size[1])) ** 0.5)
    with image_errors(path):
        image = plain(image).colourspace("srgb")
        return _upright(image if scale >= 1 else image.resize(scale)).copy_memory(), size


def shrunk(image: pyvips.Image, side: int) -> pyvips.Image:
    """`image` with its longer side at most `side` pixels; never enlarged."""
    longer = max(image.width, image.height)
    return image if longer <= side else image.resize(side / longer)


def as_grey(image: pyvips.Image) -> Grey:
    """The pixels of a 1-band image."""
    return np.ascontiguousarray(image.numpy().reshape(image.height, image.width))
