"""Which files of a camera are images, and whether one is whole: decoded to its last pixel."""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from schemas.image_formats import (
    MAX_PIXELS,
    SIGNATURE_BYTES,
    agrees,
    format_of_content,
    format_of_name,
)
from workstation.images.decoder_messages import DecoderMessages, kept_messages
from workstation.images.tiff_strips import decode, dimensions, read_directory
from workstation.problems import WorkstationError, translated

IMAGE_SUFFIXES = frozenset({".tif", ".tiff", ".jpg", ".jpeg"})
"""What a converted image ends in, in lower case."""

RAW_SUFFIXES = frozenset({".raf", ".cr3", ".cr2", ".nef", ".dng"})
"""What a camera's raw file ends in. A DNG without a converted image beside it is one itself."""

EXIF_IFD = 0x8769
_SMALLER = 8  # a JPEG can be decoded at an eighth: all of its bytes are read, few pixels are kept
_TIFF_WORDS = frozenset({"tif", "dng", "raw"})

UNREADABLE = (
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
    Image.DecompressionBombError,
)
"""What Pillow's readers let through on broken bytes."""


class UnusableImage(WorkstationError):
    """The file is no whole image of the kind that its name says."""

    remedy = "convert it from the raw file again, or photograph the specimen again"


def check_image(path: Path) -> None:
    """Decode a converted image from its first to its last pixel.

    Memory is that of one strip or tile of a TIFF; of a JPEG, an eighth of its width and height.
    Raises UnusableImage; another WorkstationError when the file cannot be read.
    """
    with _named_errors(path), path.open("rb") as stream:
        word = _checked_word(path, stream)
        if word in _TIFF_WORDS:
            tags = read_directory(stream)
            _check_size(path, *dimensions(tags))
            decode(stream, tags, path.stat().st_size)
        else:
            stream.seek(0)
            with JpegImageFile(stream) as image:
                _check_size(path, *image.size)
                image.draft("L", (image.width // _SMALLER, image.height // _SMALLER))
                image.load()
        # Ingest refuses an image whose notes on the exposure are damaged; so they are read here.
        _exif(stream, word)


def check_raw(path: Path) -> None:
    """Know a raw file by its size and its first bytes.

    Raises UnusableImage; another WorkstationError when the file cannot be read.
    """
    with _named_errors(path), path.open("rb") as stream:
        _checked_word(path, stream)


def read_exif(path: Path) -> dict[int, Any]:
    """The tags of an image's Exif directory; empty where there is none, or none to be read.

    Raises WorkstationError when the file itself cannot be read.
    """
    try:
        with kept_messages(), path.open("rb") as stream:
            try:
                return _exif(stream, format_of_content(stream.read(SIGNATURE_BYTES)))
            except UNREADABLE as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise
                return {}
    except OSError as error:
        raise translated(error, path) from error


def _exif(stream: BinaryIO, word: str | None) -> dict[int, Any]:
    stream.seek(0)
    if word in _TIFF_WORDS:
        return dict(read_directory(stream, EXIF_IFD))
    with JpegImageFile(stream) as image:
        return dict(image.getexif().get_ifd(EXIF_IFD))


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    messages = DecoderMessages()
    try:
        with kept_messages() as messages:
            yield
    except UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise translated(error, path) from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = messages.last or (lines[-1] if lines else type(error).__name__)
        raise UnusableImage(path, f"it cannot be decoded to its end ({why})") from error


def _checked_word(path: Path, stream: BinaryIO) -> str:
    """The format that name and first bytes agree upon."""
    promised = format_of_name(path.name)
    head = stream.read(SIGNATURE_BYTES)
    if promised is None:
        raise UnusableImage(path, f"{path.suffix or 'no ending'} names no image format known here")
    if not head:
        raise UnusableImage(path, "it is empty (0 bytes)")
    if not head.strip(b"\0"):
        raise UnusableImage(path, "it begins with zeros only, as a copy cut short leaves it")
    found = format_of_content(head)
    if found is None or not agrees(promised, found):
        holds = f"a {found} image" if found else "nothing known as an image"
        remedy = "give it the ending of its content, or export it again"
        raise UnusableImage(path, f"it is named {path.suffix} but holds {holds}", remedy)
    return promised


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height == 0:
        raise UnusableImage(path, f"it is {width} × {height} pixels")
    if width * height > MAX_PIXELS:
        what = f"it says it is {width} × {height} pixels, more than {MAX_PIXELS} in all"
        raise UnusableImage(path, what)
