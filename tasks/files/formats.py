"""Which image a file name promises, and which one its first bytes show.

Words for formats are the metadata's: tif, jpeg, png, dng, … in lower case. Camera
raws travel beside an image and are known by name and signature only.
"""

from collections.abc import Callable
from pathlib import Path

SIGNATURE_BYTES = 16

IMAGES = {
    ".tif": "tif",
    ".tiff": "tif",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".png": "png",
    ".webp": "webp",
    ".jp2": "jp2",
    ".dng": "dng",
}
"""File endings of images, the one to prefer first where a base name has several."""

RAWS = {".raf": "raf", ".cr3": "cr3", ".cr2": "raw", ".nef": "raw", ".arw": "raw", ".raw": "raw"}
"""File endings of camera raws: extras of an image, unless the metadata says otherwise."""

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_SIGNATURES: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("tif", lambda head: head.startswith(_TIFF)),
    ("jpeg", lambda head: head.startswith(b"\xff\xd8\xff")),
    ("png", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n")),
    ("webp", lambda head: head.startswith(b"RIFF") and head[8:12] == b"WEBP"),
    ("jp2", lambda head: head.startswith(b"\0\0\0\x0cjP  \r\n\x87\n")),
    ("raf", lambda head: head.startswith(b"FUJIFILMCCD-RAW")),
    ("cr3", lambda head: head[4:11] == b"ftypcrx"),
)

_CONTAINER = {"dng": "tif", "raw": "tif"}  # these are TIFF files inside


def format_of_name(name: str) -> str | None:
    """The format a file name promises, by its ending in any case; None when unknown."""
    suffix = Path(name).suffix.lower()
    return IMAGES.get(suffix) or RAWS.get(suffix)


def is_picture(name: str) -> bool:
    """Whether a file of this name is an image or a camera raw."""
    return format_of_name(name) is not None


def format_of_content(head: bytes) -> str | None:
    """The format the first 16 bytes of a file show; None when unknown."""
    return next((name for name, matches in _SIGNATURES if matches(head)), None)


def agrees(promised: str, found: str) -> bool:
    """Whether a file named as `promised` may hold what was `found` in it."""
    return found in (promised, _CONTAINER.get(promised))


def same_format(one: str, other: str) -> bool:
    """Whether two words name one format: `TIFF` and `tif`, `jpg` and `jpeg`."""
    return _canonical(one) == _canonical(other)


def is_meant(name: str, word: str) -> bool:
    """Whether a file of this name is in the format that metadata call `word` (`TIF`, `RAW`, …).

    `RAW` is any camera's; a word we do not know is the file's ending.
    """
    suffix, meant = Path(name).suffix.lower(), "." + word.strip().lstrip(".").lower()
    if meant == ".raw":
        return suffix in RAWS or suffix == ".dng"
    return suffix == meant or (suffix in IMAGES and IMAGES[suffix] == IMAGES.get(meant))


def _canonical(word: str) -> str:
    suffix = "." + word.strip().lstrip(".").lower()
    return IMAGES.get(suffix) or RAWS.get(suffix) or suffix
