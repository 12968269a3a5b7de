"""Small pictures of the images in a folder, made with bounded memory however large these are.

Of a TIFF only those strips or tiles are read that hold a row which is shown; a JPEG is decoded
at an eighth.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from schemas.image_formats import SIGNATURE_BYTES, format_of_content
from workstation.images import tiff_strips as tiff
from workstation.images.decoder_messages import kept_messages
from workstation.images.reading import UNREADABLE

LONGEST_PX = 320
"""Pixels of a small picture's longer side."""

MAX_PIECE_BYTES = 64 << 20
"""Of a strip or tile, unpacked; a TIFF of larger ones has no small picture."""

KEPT_PICTURES = 500

_ORIENTATION, _PREDICTOR, _COLOR_MAP, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 274, 317, 320, 338, 339
_OF_COLOURS = (
    tiff.BITS, tiff.PHOTOMETRIC, tiff.SAMPLES, tiff.FILL_ORDER, tiff.JPEG_TABLES, tiff.SUBSAMPLING,
    _PREDICTOR, _COLOR_MAP, _EXTRA_SAMPLES, _SAMPLE_FORMAT,
)  # fmt: skip
_PLAIN = 1


class NoSmallPicture(Exception):
    """The image cannot be shown small; whether it can be sent is another question."""


@lru_cache(maxsize=KEPT_PICTURES)
def small_picture(path: Path, mtime_ns: int) -> bytes:
    """A JPEG of at most LONGEST_PX pixels a side, of a file as it was then (ns since 1970).

    The last ones that were made are kept. Raises NoSmallPicture.
    """
    try:
        with kept_messages(), path.open("rb") as stream:
            word = format_of_content(stream.read(SIGNATURE_BYTES))
            stream.seek(0)
            made = _of_jpeg(stream) if word == "jpeg" else _of_tiff(stream)
            made = ImageOps.exif_transpose(made)
            written = BytesIO()
            made.convert("RGB").save(written, "JPEG", quality=80)
    except UNREADABLE as error:
        raise NoSmallPicture(f"{path.name}: {error}") from error
    return written.getvalue()


def _of_jpeg(stream: BinaryIO) -> Image.Image:
    with JpegImageFile(stream) as image:
        image.draft("RGB", (LONGEST_PX, LONGEST_PX))
        image.thumbnail((LONGEST_PX, LONGEST_PX))
        return image.copy()


def _of_tiff(stream: BinaryIO) -> Image.Image:
    tags = tiff.read_directory(stream)
    width, height = tiff.dimensions(tags)
    if tags.get(tiff.PLANAR, 1) != 1:
        raise NoSmallPicture("its colours lie apart")
    scale = min(1.0, LONGEST_PX / max(width, height))
    small = Image.new("RGB", (max(1, round(width * scale)), max(1, round(height * scale))))
    pieces = list(tiff.tiff_pieces(tags))
    across, rows_each = -(-width // pieces[0].width), pieces[0].rows
    for band, shown in groupby(_shown_rows(small.height, height), lambda at: at[1] // rows_each):
        beside = pieces[band * across : (band + 1) * across]
        rows = [(y, row - band * rows_each) for y, row in shown]
        for y, line in _lines(stream, tags, beside, rows):
            box = (0, 0, width, 1)
            small.paste(line.resize((small.width, 1), Image.Resampling.BOX, box), (0, y))
    if _ORIENTATION in tags:
        small.getexif()[_ORIENTATION] = tags[_ORIENTATION]
    return small


def _shown_rows(count: int, height: int) -> Iterator[tuple[int, int]]:
    """Each row of the small picture, and the row of the whole one that it shows."""
    for y in range(count):
        yield y, min(height - 1, int((y + 0.5) * height / count))


def _lines(
    stream: BinaryIO,
    tags: ImageFileDirectory_v2,
    beside: Sequence[tiff.TiffPiece],
    rows: Sequence[tuple[int, int]],
) -> Iterator[tuple[int, Image.Image]]:
    """Rows of strips or tiles that lie beside each other, each as a picture of one row."""
    packed = tags.get(tiff.COMPRESSION, _PLAIN) != _PLAIN
    whole = [_unpacked(stream, tags, piece) for piece in beside] if packed else []
    for y, row in rows:
        line = Image.new("RGB", (sum(piece.width for piece in beside), 1))
        for column, piece in enumerate(beside):
            if packed:
                part = whole[column].crop((0, row, piece.width, row + 1))
            else:
                stream.seek(piece.offset + row * piece.row_bytes)
                part = _decoded(stream.read(piece.row_bytes), tags, piece.width, 1)
            line.paste(part, (column * piece.width, 0))
        yield y, line


def _unpacked(stream: BinaryIO, tags: ImageFileDirectory_v2, piece: tiff.TiffPiece) -> Image.Image:
    if piece.row_bytes * piece.rows > MAX_PIECE_BYTES:
        raise NoSmallPicture("it is packed in too large parts")
    stream.seek(piece.offset)
    return _decoded(stream.read(piece.packed_bytes), tags, piece.width, piece.rows)


def _decoded(packed: bytes, tags: ImageFileDirectory_v2, width: int, rows: int) -> Image.Image:
    """Bytes of a TIFF's strip as a picture: a small TIFF is made of them, with its colours."""
    own = ImageFileDirectory_v2(prefix=tags.prefix)
    for tag in _OF_COLOURS:
        if tag in tags:
            own.tagtype[tag] = tags.tagtype[tag]
            own[tag] = tags[tag]
    own[tiff.WIDTH], own[tiff.LENGTH], own[tiff.ROWS_PER_STRIP] = width, rows, rows
    own[tiff.COMPRESSION], own[tiff.PLANAR] = tags.get(tiff.COMPRESSION, _PLAIN), 1
    own.tagtype[tiff.STRIP_OFFSETS] = own.tagtype[tiff.STRIP_COUNTS] = 4
    own[tiff.STRIP_OFFSETS], own[tiff.STRIP_COUNTS] = (0,), (len(packed),)
    whole = BytesIO()
    own.save(whole)
    whole.write(packed)
    whole.seek(0)
    with TiffImageFile(whole) as image:
        if image.mode.startswith("I;16"):
            return image.point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
        return image.convert("RGB")
