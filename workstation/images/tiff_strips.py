"""Decodes a TIFF strip by strip, or tile by tile, so that memory stays flat at any size.

Pillow decodes a compressed TIFF only as one picture. Each strip is therefore given to it as a
small TIFF of its own, of plain bytes in rows: that needs no mode for the colours, and fails
where the strip holds too little or cannot be unpacked.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

from PIL import TiffTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

WIDTH, LENGTH, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_PER_STRIP, STRIP_COUNTS, PLANAR = 273, 277, 278, 279, 284
TILE_WIDTH, TILE_LENGTH, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
JPEG_TABLES, SUBSAMPLING = 347, 530

_PLAIN, _JPEG, _YCBCR, _BLACK_IS_ZERO = 1, 7, 6, 1
_BYTE_STREAMS = frozenset({5, 8, 32773, 32946, 34925, 50000})
"""Compressions that pack bytes, whatever these mean: LZW, deflate, PackBits, LZMA, Zstandard."""


class DamagedTiff(ValueError):
    """The TIFF's directory and its content do not go together; the message says how."""


@dataclass(frozen=True, slots=True)
class TiffPiece:
    """A strip or a tile: where it lies, its packed bytes, and its pixels."""

    offset: int
    packed_bytes: int
    width: int
    rows: int
    row_bytes: int


def read_directory(stream: BinaryIO, group: int | None = None) -> ImageFileDirectory_v2:
    """The tags of a TIFF's first picture, or of the directory that its tag `group` points to.

    Without such a tag it is empty. Raises DamagedTiff, or what Pillow raises on broken bytes.
    """
    stream.seek(0)
    head = stream.read(8)
    if b"\x2b" in head[2:4]:  # the form for more than 4 GB has a longer head
        head += stream.read(8)
    tags = ImageFileDirectory_v2(head)
    stream.seek(tags.next)
    tags.load(stream)
    if group is None:
        return tags
    inner = ImageFileDirectory_v2(head, group=group)
    if group in tags:
        stream.seek(_number(tags, group))
        inner.load(stream)
    return inner


def dimensions(tags: ImageFileDirectory_v2) -> tuple[int, int]:
    """Width and height in pixels. Raises DamagedTiff when the directory lacks them."""
    return _number(tags, WIDTH), _number(tags, LENGTH)


def decode(stream: BinaryIO, tags: ImageFileDirectory_v2, file_bytes: int) -> None:
    """Unpack every strip or tile of the first picture, one at a time.

    What cannot be taken apart is decoded as one. Raises DamagedTiff, or what Pillow raises.
    """
    compression = _number(tags, COMPRESSION, _PLAIN)
    parted = _can_be_parted(tags, compression)
    countable = parted and compression == _PLAIN
    for piece in tiff_pieces(tags):
        if piece.offset + piece.packed_bytes > file_bytes:
            raise DamagedTiff(f"it ends at byte {file_bytes}, in the middle of its pixels")
        if countable and piece.packed_bytes < piece.row_bytes * piece.rows:
            raise DamagedTiff("a part of its pixels has too few bytes")
        if parted and compression != _PLAIN:
            _unpack(stream, tags, piece, compression)
    if not parted:
        stream.seek(0)
        with TiffImageFile(stream) as image:
            image.load()


def _can_be_parted(tags: ImageFileDirectory_v2, compression: int) -> bool:
    """Whether the bytes of a row are known, so that a strip can be decoded by itself."""
    if compression == _JPEG:
        return _number(tags, PLANAR, 1) == 1
    # Where colours are kept for blocks of pixels, a row has fewer bytes.
    subsampled = _number(tags, PHOTOMETRIC, _BLACK_IS_ZERO) == _YCBCR
    return not subsampled and (compression == _PLAIN or compression in _BYTE_STREAMS)


def _unpack(
    stream: BinaryIO, tags: ImageFileDirectory_v2, piece: TiffPiece, compression: int
) -> None:
    stream.seek(piece.offset)
    packed = stream.read(piece.packed_bytes)
    own = ImageFileDirectory_v2(prefix=tags.prefix)
    own.tagtype[STRIP_OFFSETS] = own.tagtype[STRIP_COUNTS] = TiffTags.LONG
    wanted: dict[int, Any] = {
        LENGTH: piece.rows, COMPRESSION: compression, PLANAR: 1, STRIP_OFFSETS: (0,),
        ROWS_PER_STRIP: piece.rows, STRIP_COUNTS: (len(packed),),
    }  # fmt: skip
    if compression == _JPEG:
        kept = (BITS, PHOTOMETRIC, SAMPLES, JPEG_TABLES, SUBSAMPLING)
        wanted |= {WIDTH: piece.width, **{tag: tags[tag] for tag in kept if tag in tags}}
    else:
        wanted |= {WIDTH: piece.row_bytes, BITS: 8, PHOTOMETRIC: _BLACK_IS_ZERO, SAMPLES: 1}
        wanted |= {FILL_ORDER: tags[FILL_ORDER]} if FILL_ORDER in tags else {}
    for tag, value in wanted.items():
        own[tag] = value
    whole = BytesIO()
    own.save(whole)
    whole.write(packed)
    whole.seek(0)
    with TiffImageFile(whole) as image:
        image.load()


def tiff_pieces(tags: ImageFileDirectory_v2) -> Iterator[TiffPiece]:
    """Every strip or tile of the first picture, plane by plane where colours lie apart.

    Raises DamagedTiff.
    """
    width, height = dimensions(tags)
    tiled = TILE_OFFSETS in tags
    across = _number(tags, TILE_WIDTH) if tiled else width
    rows = _number(tags, TILE_LENGTH) if tiled else _number(tags, ROWS_PER_STRIP, height)
    if min(across, rows, width, height) < 1:
        raise DamagedTiff(f"it is {width} × {height} pixels in parts of {across} × {rows}")
    rows = rows if tiled else min(rows, height)
    apart = _number(tags, PLANAR, 1) == 2
    samples = _number(tags, SAMPLES, 1)
    bits = _numbers(tags, BITS, (1,))
    pixel_bits = bits[0] if apart else sum(bits) if len(bits) == samples else bits[0] * samples
    row_bytes = -(-across * pixel_bits // 8)
    down = -(-height // rows)
    count = -(-width // across) * down * (samples if apart else 1)
    offsets = _numbers(tags, TILE_OFFSETS if tiled else STRIP_OFFSETS)
    sizes = _numbers(tags, TILE_COUNTS if tiled else STRIP_COUNTS, ())
    if not sizes and _number(tags, COMPRESSION, _PLAIN) == _PLAIN:
        sizes = tuple(row_bytes * rows for _ in offsets)
    if len(offsets) < count or len(sizes) < count:
        raise DamagedTiff(f"it has {min(len(offsets), len(sizes))} parts of {count}")
    for i, (offset, size) in enumerate(zip(offsets[:count], sizes[:count], strict=True)):
        last = not tiled and i % down == down - 1
        yield TiffPiece(
            offset, size, across, height - (down - 1) * rows if last else rows, row_bytes
        )


def _numbers(
    tags: ImageFileDirectory_v2, tag: int, absent: tuple[int, ...] | None = None
) -> tuple[int, ...]:
    found = tags.get(tag, absent)
    found = found if isinstance(found, tuple) else (found,)
    if not all(isinstance(each, int) for each in found):
        name = TiffTags.lookup(tag).name
        raise DamagedTiff(f"its directory lacks {name}, or has no numbers there")
    return found


def _number(tags: ImageFileDirectory_v2, tag: int, absent: int | None = None) -> int:
    return _numbers(tags, tag, None if absent is None else (absent,))[0]
