"""The resolution a file claims, pixels per inch, as far as it can be believed.

Baseline TIFF 6.0: ResolutionUnit 1 is no unit, 2 inch (and the default), 3 centimetre. JFIF:
unit 0 is an aspect ratio only; PNG's pHYs likewise. JPEG and PNG may carry EXIF too.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from hpc.runner.imaging import tiff
from hpc.runner.imaging.pages import picture_of

CM_PER_INCH = 2.54
NOT_A_SCAN = frozenset({1.0, 25.4, 72.0, 96.0})
"""What programs write when they do not know the scanner's."""
PLAUSIBLE = (20.0, 10_000.0)
"""From a poster photographed whole to a microscope; beyond it something was miscounted."""
MAX_UNEQUAL = 0.01
"""Relative; pixels that are less square than that would make a distorted copy."""
MAX_DIFFERENCE = 0.05
PER_INCH = {2: 1.0, 3: CM_PER_INCH}
READERS: dict[str, type[ImageFile]] = {
    "jpeg": JpegImageFile,
    "png": PngImageFile,
    "webp": WebPImageFile,
    "jp2": Jpeg2KImageFile,
}
BROKEN = (OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError)
"""What Pillow's header readers raise on damaged bytes; the pixels may be sound."""


@dataclass(frozen=True)
class Claimed:
    """`ppi` None: the file claims nothing that can be believed, and `doubt` is why, if it does."""

    ppi: float | None
    doubt: str | None = None


def ppi_in_file(path: Path) -> Claimed:
    """What the full-size picture of a file claims. Raises WrongKind, OSError."""
    picture = picture_of(path)
    if picture.directory is not None:
        claims = [_of_tags(picture.directory.tags)]
    elif picture.kind in READERS:
        claims = _of_headers(path, READERS[picture.kind])
    else:
        claims = []
    judged = [judge(x, y) for x, y in filter(None, claims)]
    believed = [claimed.ppi for claimed in judged if claimed.ppi]
    if not believed:
        return Claimed(None, next((claimed.doubt for claimed in judged if claimed.doubt), None))
    if max(believed) / min(believed) - 1 > MAX_DIFFERENCE:
        both = " and ".join(f"{ppi:g}" for ppi in believed)
        return Claimed(None, f"the file claims {both} ppi at once, and none is believed")
    return Claimed(believed[0])


def judge(x: float, y: float) -> Claimed:
    """Whether pixels per inch across and down can be believed."""
    ppi = round(x, 1)
    if ppi in NOT_A_SCAN or ppi <= 0:
        return Claimed(None)
    if not PLAUSIBLE[0] <= x <= PLAUSIBLE[1]:
        low, high = (f"{bound:g}" for bound in PLAUSIBLE)
        return Claimed(None, f"the file claims {x:g} ppi, not within {low} to {high}: not believed")
    if abs(x - y) > MAX_UNEQUAL * x:
        return Claimed(None, f"the file claims {x:g} ppi across and {y:g} down: not believed")
    return Claimed(ppi)


def _of_tags(tags: dict[int, tuple[Any, ...]]) -> tuple[float, float] | None:
    """Of a TIFF directory or EXIF; None where it has no resolution, or one without a unit."""
    x = (tags.get(tiff.X_RESOLUTION) or (0.0,))[0]
    y = (tags.get(tiff.Y_RESOLUTION) or (x,))[0]
    per_inch = PER_INCH.get((tags.get(tiff.UNIT) or (2,))[0])
    return (float(x) * per_inch, float(y) * per_inch) if per_inch and x > 0 else None


def _of_headers(path: Path, reader: type[ImageFile]) -> list[tuple[float, float] | None]:
    """The container's own claim first, then that of the EXIF in it."""
    try:
        with path.open("rb") as stream, reader(stream, str(path)) as image:
            exif = image.getexif()
            info = image.info
    except BROKEN:
        return []
    values = {tag: _number(exif.get(tag)) for tag in (tiff.X_RESOLUTION, tiff.Y_RESOLUTION)}
    values[tiff.UNIT] = exif.get(tiff.UNIT)
    claims = [_of_tags({tag: (value,) for tag, value in values.items() if value is not None})]
    # Without a unit of JFIF's own, Pillow's `dpi` of a JPEG is EXIF's, or made up.
    if reader is not JpegImageFile or info.get("jfif_unit") in (1, 2):
        own = [_number(value) for value in info.get("dpi") or ()]
        if len(own) == 2 and own[0] and own[1]:
            claims.insert(0, (own[0], own[1]))
    return claims


def _number(value: Any) -> float | None:
    try:
        return float(Fraction(value))
    except (TypeError, ValueError, ArithmeticError):
        return None
