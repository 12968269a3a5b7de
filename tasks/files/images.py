"""Checks an image before it is sent on: is it what its name says, and complete?

Pillow reads its header; every pixel is then decoded once. Large images and TIFFs are
streamed through libvips, so memory stays flat at any size.
"""

import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from schemas.image_formats import (
    MAX_PIXELS,
    SIGNATURE_BYTES,
    agrees,
    format_of_content,
    format_of_name,
)
from tasks.errors import FileError, named
from tasks.files.threads import Threads

STREAM_FROM = 25_000_000  # pixels: from here on an image is not held in memory as one

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

_EXIF_IFD = 0x8769


class BrokenImage(FileError):
    """The file is no complete image of the format its name promises."""

    remedy = "export or photograph it again and drop it under the same name"


async def check_image(path: Path) -> None:
    """`inspect_image` in a thread, one image at a time."""
    await INSPECTING.run(lambda _: inspect_image(path))


def inspect_image(path: Path) -> None:
    """Decode the image at `path` once, from its first to its last pixel.

    A camera raw is known by its signature alone. Raises BrokenImage; or another FileError
    when the file itself cannot be reached.
    """
    try:
        with path.open("rb") as stream:
            promised, found = _format(path, stream)
            if found in _READERS:
                stream.seek(0)
                _decode(path, stream, promised, found)
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


def _decode(path: Path, stream: BinaryIO, promised: str, found: str) -> None:
    try:
        try:
            image = _READERS[found](stream, str(path))
        except SyntaxError:
            if (strips := _strips(path)) is None:
                raise
            _decode_deep(path, stream, strips, promised)
            return
        with image:
            _check_size(path, image.width, image.height)
            image.getexif().get_ifd(_EXIF_IFD)  # read late, and damaged as anything else
            large = found == "tif" or image.width * image.height >= STREAM_FROM
            strips = _strips(path) if large else None
            image.load() if strips is None else _stream(path, strips)
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise named(error, path, reading=True) from error
        raise BrokenImage(path, f"it cannot be decoded to its end ({_last_line(error)})") from error


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height == 0:
        raise BrokenImage(path, f"it is {width} × {height} pixels")
    if width * height > MAX_PIXELS:
        raise BrokenImage(
            path,
            f"it claims {width} × {height} pixels, more than the {MAX_PIXELS} allowed",
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
        raise BrokenImage(path, f"it cannot be decoded to its end ({_last_line(error)})") from error


def _decode_deep(path: Path, stream: BinaryIO, strips: Any, promised: str) -> None:
    """Decode what Pillow has no mode for: 48-bit colour, CIELAB, floats."""
    _check_size(path, strips.width, strips.height)
    exif = Image.Exif()
    if promised in ("tif", "dng"):
        stream.seek(0)
        exif.load_from_fp(stream)
    _stream(path, strips)
    exif.get_ifd(_EXIF_IFD)


def _last_line(error: Exception) -> str:
    """The last line of a library's message, in one piece."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
