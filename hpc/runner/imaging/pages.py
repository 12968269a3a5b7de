"""Which picture of a file is meant, and whether it is of a kind that is read here.

A TIFF or DNG may hold thumbnails, smaller copies and masks beside the picture. Ingest asks
the same function as the modules, so that what the one lets in the others read.
"""

from dataclasses import dataclass
from pathlib import Path

from hpc.runner.errors import BadInput, WrongKind
from hpc.runner.imaging import tiff
from hpc.runner.imaging.tiff import Directory

SIGNATURES = {
    b"\xff\xd8\xff": "jpeg",
    b"\x89PNG\r\n\x1a\n": "png",
    b"II*\0": "tif",
    b"MM\0*": "tif",
    b"II+\0": "tif",
    b"MM\0+": "tif",
    b"\0\0\0\x0cjP  \r\n\x87\n": "jp2",
}
RAWS = frozenset({".cr2", ".nef", ".arw", ".raw", ".raf", ".cr3"})
"""Camera raws, some of which are TIFF files inside and would show a small preview."""

REDUCED, MASK = 1, 4
"""Bits of NewSubfileType: a smaller copy of another page, a mask for one."""
OLD_REDUCED = 2
MASK_PICTURE, PALETTE = 4, 3
COLOURS = {0: 1, 1: 1, 2: 3, PALETTE: 1, 5: 4, 6: 3}
"""Samples of a pixel that are colour, by PhotometricInterpretation: bilevel and grey, RGB,
palette, CMYK, YCbCr. Others are CIELab, of which libvips reads some only, measured values or a
camera's raw data."""
SENSOR = frozenset({32803, 34892})
"""Colour filter array, linear raw: what a DNG holds and only a raw converter can develop."""
COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 32773, 32946})
"""None, fax, LZW, JPEG, deflate, PackBits: what every build of libtiff has."""
ALPHA = (1, 2)
UNSIGNED = frozenset({1, 4})
"""SampleFormat: whole numbers without a sign, and not given."""
DEPTHS = frozenset({1, 2, 4, 8, 16})


@dataclass(frozen=True)
class Picture:
    """The picture of a file: `kind` of the file, and for a TIFF the directory it lies in.

    `alike` counts the pictures of the file that are as large, itself included.
    """

    kind: str
    directory: Directory | None = None
    alike: int = 1

    @property
    def colours(self) -> int | None:
        """Samples of a pixel that are colour, where others follow that are none."""
        if self.directory is None or self.directory.first(tiff.PHOTOMETRIC) == PALETTE:
            return None
        colours = COLOURS[self.directory.first(tiff.PHOTOMETRIC)]
        extra = self.directory.first(tiff.SAMPLES, 1) - colours
        extra_samples = self.directory.tags.get(tiff.EXTRA_SAMPLES, ())
        transparency = extra == 1 and extra_samples[:1] in ((ALPHA[0],), (ALPHA[1],))
        return colours if extra > 0 and not transparency else None


def picture_of(path: Path) -> Picture:
    """The full-size picture of the file: the largest that is no smaller copy and no mask.

    Of several alike the first. Raises WrongKind, with the remedy, when it is none that is
    read here, OSError when the file cannot be.
    """
    with path.open("rb") as file:
        head = file.read(12)
    kind = next((kind for start, kind in SIGNATURES.items() if head.startswith(start)), None)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        kind = "webp"
    if kind is None or path.suffix.lower() in RAWS:
        raise WrongKind(
            f"{path.name}: is no TIFF, JPEG, PNG, WebP or JPEG 2000 picture, and others are not "
            "read here; export it as a TIFF"
        )
    if kind != "tif" or not (found := tiff.directories(path)):
        return Picture(kind)
    full = [page for page in found if not lesser(page)] or found
    largest = max(full, key=lambda page: page.pixels)
    alike = sum(page.pixels == largest.pixels for page in full)
    _refuse_unreadable(path, largest)
    return Picture(kind, largest, alike)


def check_size(path: Path, width: int, height: int, max_pixels: int) -> None:
    """Raises BadInput for more than `max_pixels`, or none."""
    if width * height > max_pixels or width * height == 0:
        raise BadInput(
            f"{path.name}: claims {width} x {height} pixels, more than the "
            f"{max_pixels} allowed; if that is right, raise params.max_pixels"
        )


def lesser(page: Directory) -> bool:
    """Whether this is a smaller copy of another picture, or a mask."""
    return bool(
        page.first(tiff.SUBFILE) & (REDUCED | MASK)
        or page.first(tiff.OLD_SUBFILE) == OLD_REDUCED
        or page.first(tiff.PHOTOMETRIC) == MASK_PICTURE
    )


def _refuse_unreadable(path: Path, page: Directory) -> None:
    """Raise WrongKind for pixels that no library here can make a picture of."""
    photometric = page.first(tiff.PHOTOMETRIC)
    samples = page.first(tiff.SAMPLES, 1)
    compression = page.first(tiff.COMPRESSION, 1)
    depths, forms = page.tags.get(tiff.BITS, (1,)), page.tags.get(tiff.SAMPLE_FORMAT, (1,))
    if photometric in SENSOR:
        why = "its full picture is a camera's raw data, and what else is in it is a preview"
    elif photometric not in COLOURS:
        why = f"its colours are of a kind that is not read here (photometric {photometric})"
    elif samples < COLOURS[photometric]:
        why = f"a pixel has {samples} samples, and its colours need {COLOURS[photometric]}"
    elif not DEPTHS.issuperset(depths) or not UNSIGNED.issuperset(forms):
        why = f"its samples are no whole numbers of 1 to 16 bits ({depths[0]} bits)"
    elif compression not in COMPRESSIONS:
        why = f"its pixels are packed in a way that is not read here (compression {compression})"
    else:
        return
    raise WrongKind(f"{path.name}: {why}; export it as a TIFF of 8 or 16 bits with LZW")
