"""An image made small: a JPEG in sRGB, upright, without what else the file held.

By libvips, as a stream, where it is installed; else by Pillow, in memory.
"""

import importlib.util
import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from hpc.runner.errors import BadInput, Transient

QUALITY = 80
MAX_PILLOW_PIXELS = 200_000_000
"""What is held in memory as a whole."""

_UNREADABLE = (
    SyntaxError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError,
    struct.error, zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning,
    ImageCms.PyCMSError, MemoryError,
)  # fmt: skip
"""What Pillow lets through on broken bytes, beside OSError."""


class CannotShrink(Exception):
    """It is no image that can be read here, or it is damaged; the text says which."""


def shrink(source: Path, targets: Sequence[tuple[Path, int]]) -> None:
    """Write `source` to each target with its longer side at most that many pixels, largest first.

    Nothing is enlarged. Raises CannotShrink, OSError.
    """
    try:
        small = _shrunk(source, max(side for _, side in targets))
        for target, side in targets:
            small.thumbnail((side, side))
            small.save(target, "JPEG", quality=QUALITY, optimize=True)
    except _UNREADABLE as error:
        raise CannotShrink(f"{source.name} cannot be read as an image ({error})") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise CannotShrink(f"{source.name} is damaged or cut short ({error})") from error


def _shrunk(source: Path, side: int) -> Image.Image:
    if importlib.util.find_spec("pyvips") is not None:
        try:
            return _by_vips(source, side)
        except BadInput as error:
            try:
                return _by_pillow(source, side)  # it reads kinds that libvips does not
            except UnidentifiedImageError:
                raise CannotShrink(str(error)) from error
    return _by_pillow(source, side)


def _by_vips(source: Path, side: int) -> Image.Image:
    from hpc.runner.imaging.picture import image_errors, open_image, orientation_of, plain

    try:
        image = open_image(source)
        with image_errors(source):
            if max(image.width, image.height) > side:
                image = image.resize(side / max(image.width, image.height))
            if "icc-profile-data" in image.get_fields():
                image = image.icc_transform("srgb", embedded=True)
            image = plain(image).colourspace("srgb").copy_memory()
            if orientation_of(image) != 1:
                image = image.autorot()
            return Image.fromarray(image.numpy())
    except Transient as error:
        raise CannotShrink(str(error)) from error


def _by_pillow(source: Path, side: int) -> Image.Image:
    with source.open("rb") as stream, Image.open(stream) as image:
        if image.width * image.height > MAX_PILLOW_PIXELS:
            raise ValueError(f"{image.width} × {image.height} pixels are too many without libvips")
        image.draft("RGB", (side, side))
        profile = image.info.get("icc_profile")
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail((side, side))
        return _in_srgb(upright, profile)


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    if profile and image.mode in ("RGB", "CMYK", "L"):
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            made = ImageCms.profileToProfile(
                image, own, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            return made or image.convert("RGB")
        except (ImageCms.PyCMSError, OSError):
            pass  # a profile that does not fit its image says nothing
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB")
