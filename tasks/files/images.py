"""Looks at an image as a whole before it is sent on: is it what its name says, and complete?

Facts come from Pillow's header readers; every pixel is then decoded once. Large images
and TIFFs are streamed through libvips, so memory stays flat at any size.
"""

import re
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from tasks.errors import FileError, named
from tasks.files.formats import SIGNATURE_BYTES, agrees, format_of_content, format_of_name
from tasks.files.threads import Stop, Threads

GIGAPIXEL = 1_000_000_000
MM_PER_INCH = 25.4
STREAM_FROM = 25_000_000  # pixels: from here on an image is not held in memory whole

INSPECTING = Threads("inspecting", 1)

# Opened by class, since `Image.open` refuses large images by a limit of the whole process.
_READERS: dict[str, type[ImageFile.ImageFile]] = {
    "tif": TiffImageFile,
    "jpeg": JpegImageFile,
    "png": PngImageFile,
    "webp": WebPImageFile,
    "jp2": Jpeg2KImageFile,
}

# What Pillow's readers let through on broken bytes, as found by cutting and flipping files.
_UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
    UserWarning,
    Image.DecompressionBombError,
)

_ORIENTATION, _DATE_TIME, _EXIF_IFD = 0x0112, 0x0132, 0x8769
_TIMES = ((0x9003, 0x9011), (0x9004, 0x9012))  # original and digitised: time, its offset
_DNG_VERSION = 0xC612


class BrokenImage(FileError):
    """The file is no whole image of the format its name promises."""

    remedy = "export or photograph it again and drop it under the same name"

    @property
    def problem(self) -> str:
        return self.reason


@dataclass(frozen=True)
class ImageFacts:
    """What an image says of itself.

    `width` and `height` are pixels as stored, before `orientation` (EXIF 1 to 8) is
    applied; they and `mode` are None for a camera raw, which is not decoded. `dpi` is
    (x, y) per inch. `capture_time` carries the zone the camera wrote, else the one asked for.
    """

    format: str
    width: int | None
    height: int | None
    mode: str | None
    dpi: tuple[float, float] | None = None
    capture_time: datetime | None = None
    orientation: int | None = None
    icc: bool = False


async def look_at_image(
    path: Path, *, max_pixels: int = GIGAPIXEL, camera_zone: tzinfo = UTC
) -> ImageFacts:
    """`inspect_image` in a thread, one image at a time."""
    return await INSPECTING.run(_inspect, path, max_pixels=max_pixels, camera_zone=camera_zone)


def inspect_image(
    path: Path, *, max_pixels: int = GIGAPIXEL, camera_zone: tzinfo = UTC
) -> ImageFacts:
    """Decode the image at `path` once and tell what it is.

    `camera_zone` is where a camera stood that writes no offset to its clock's time.
    Raises BrokenImage; or another FileError when the file itself cannot be reached.
    """
    return _inspect(Stop(), path, max_pixels=max_pixels, camera_zone=camera_zone)


def _inspect(_: Stop, path: Path, *, max_pixels: int, camera_zone: tzinfo) -> ImageFacts:
    try:
        with path.open("rb") as stream:
            promised, found = _format(path, stream)
            if found not in _READERS:
                return ImageFacts(promised, None, None, None)
            stream.seek(0)
            return _decoded(path, stream, promised, found, max_pixels, camera_zone)
    except FileError:
        raise
    except OSError as error:
        raise named(error, path, reading=True) from error


def _format(path: Path, stream: BinaryIO) -> tuple[str, str | None]:
    """(format the name promises, format of the content), when the two agree."""
    promised = format_of_name(path.name)
    if promised is None:
        raise BrokenImage(path, f"{path.suffix or 'no ending'} names no image format known here")
    head = stream.read(SIGNATURE_BYTES)
    if not head:
        raise BrokenImage(path, "it is empty (0 bytes)")
    if not head.strip(b"\0"):
        raise BrokenImage(path, "it begins with zeros only, as a transfer cut short leaves it")
    found = format_of_content(head)
    if found is None and promised == "raw":
        return promised, None  # raws of many makers, each with a signature of its own
    if found is None:
        raise BrokenImage(path, f"it is named {path.suffix} but holds no image known here")
    if not agrees(promised, found):
        raise BrokenImage(
            path,
            f"it is named {path.suffix} but holds a {found} image",
            "give it the ending of its content, or export it in the format its name promises",
        )
    return promised, None if promised == "raw" else found


def _decoded(
    path: Path, stream: BinaryIO, promised: str, found: str, max_pixels: int, zone: tzinfo
) -> ImageFacts:
    try:
        try:
            image = _READERS[found](stream, str(path))
        except SyntaxError:
            if (deep := _strips(path)) is None:
                raise
            return _deep(path, stream, deep, promised, max_pixels, zone)
        with image:
            _within(path, image.width, image.height, max_pixels)
            facts = _facts(image, promised, zone)
            large = found == "tif" or image.width * image.height >= STREAM_FROM
            strips = _strips(path) if large else None
            image.load() if strips is None else _stream(path, strips)
            return facts
    except FileError:
        raise
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise named(error, path, reading=True) from error
        raise BrokenImage(path, f"it cannot be decoded to its end ({_words(error)})") from error


def _within(path: Path, width: int, height: int, max_pixels: int) -> None:
    if width * height == 0:
        raise BrokenImage(path, f"it is {width} × {height} pixels")
    if width * height > max_pixels:
        raise BrokenImage(
            path,
            f"it claims {width} × {height} pixels, more than the {max_pixels} allowed",
            "raise the limit if the picture really is that large; else export it again",
        )


def _strips(path: Path) -> Any:
    """A pyvips image that decodes in strips; None when libvips is absent or cannot open it."""
    try:
        import pyvips
    except (ImportError, OSError):
        return None
    try:
        # revalidate: libvips remembers files by name, and a broken one may have been replaced.
        # fail_on error: `truncated` lets a TIFF pass that ends in the middle of its pixels.
        return pyvips.Image.new_from_file(
            str(path), access="sequential", fail_on="error", revalidate=True
        )
    except pyvips.Error:
        return None


def _stream(path: Path, strips: Any) -> None:
    import pyvips

    try:
        strips.avg()
    except pyvips.Error as error:
        raise BrokenImage(path, f"it cannot be decoded to its end ({_words(error)})") from error


def _deep(
    path: Path, stream: BinaryIO, strips: Any, promised: str, max_pixels: int, zone: tzinfo
) -> ImageFacts:
    """Facts of an image whose pixels Pillow has no mode for: 48-bit colour, CIELAB, floats."""
    _within(path, strips.width, strips.height, max_pixels)
    exif = Image.Exif()
    if promised in ("tif", "dng"):
        stream.seek(0)
        exif.load_from_fp(stream)
    _stream(path, strips)
    return ImageFacts(
        format=promised,
        width=strips.width,
        height=strips.height,
        mode=strips.interpretation,
        dpi=_dpi((strips.xres * MM_PER_INCH, strips.yres * MM_PER_INCH)),
        capture_time=_capture_time(exif, zone),
        orientation=_orientation(exif.get(_ORIENTATION)),
        icc="icc-profile-data" in strips.get_fields(),
    )


def _words(error: Exception) -> str:
    """The last line of a library's message, in one piece."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _facts(image: ImageFile.ImageFile, promised: str, zone: tzinfo) -> ImageFacts:
    exif = image.getexif()
    is_dng = promised == "dng" or _DNG_VERSION in exif
    return ImageFacts(
        format="dng" if is_dng else promised,
        width=image.width,
        height=image.height,
        mode=image.mode,
        dpi=_dpi(image.info.get("dpi")),
        capture_time=_capture_time(exif, zone),
        orientation=_orientation(exif.get(_ORIENTATION)),
        icc=bool(image.info.get("icc_profile")),
    )


def _dpi(value: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(Fraction(axis)) for axis in value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    # One dot per inch is how writers say that they do not know; libvips says one per mm.
    return (x, y) if min(x, y) > 1 and (x, y) != (MM_PER_INCH, MM_PER_INCH) else None


def _orientation(value: Any) -> int | None:
    return value if isinstance(value, int) and 1 <= value <= 8 else None


def _capture_time(exif: Image.Exif, zone: tzinfo) -> datetime | None:
    details = exif.get_ifd(_EXIF_IFD)
    for time, offset in _TIMES:
        if taken := _moment(details.get(time), details.get(offset), zone):
            return taken
    return _moment(exif.get(_DATE_TIME), None, zone)


def _moment(time: Any, offset: Any, zone: tzinfo) -> datetime | None:
    """An EXIF time, `2026:11:21 09:30:00`; None for the zeros and blanks of an unset clock."""
    match = re.match(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d:\d\d:\d\d)", str(time))
    shift = re.match(r"[+-]\d\d:\d\d$", str(offset).strip("\0 "))
    if match is None:
        return None
    text = "{}-{}-{}T{}".format(*match.groups())
    try:
        if shift:
            return datetime.fromisoformat(text + shift.group())
        return datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError:
        return None
