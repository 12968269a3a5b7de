"""Whether two words, or a name and a word, mean one image format."""

from pathlib import Path

from schemas.image_formats import IMAGES, RAWS, format_of_name


def is_picture(name: str) -> bool:
    """Whether a file of this name is an image or a camera raw."""
    return format_of_name(name) is not None


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
