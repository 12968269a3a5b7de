"""Which image a file name promises, and which one its first bytes show.

Words for formats are the metadata's: tif, jpeg, png, dng, … in lower case. Camera
raws travel beside an image and are known by name and signature only.
"""

from collections.abc import Callable
from pathlib import Path

SIGNATURE_BYTES = 16

MAX_PIXELS = 1_000_000_000
"""Pixels of the largest image that is taken."""

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


def format_of_content(head: bytes) -> str | None:
    """The format the first 16 bytes of a file show; None when unknown."""
    return next((name for name, matches in _SIGNATURES if matches(head)), None)


def agrees(promised: str, found: str) -> bool:
    """Whether a file named as `promised` may hold what was `found` in it."""
    return found in (promised, _CONTAINER.get(promised))
