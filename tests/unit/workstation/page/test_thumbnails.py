"""Small pictures: right in every kind of image, and with bounded memory."""

from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from workstation.page import thumbnails
from workstation.page.thumbnails import NoSmallPicture, small_picture


def halves(mode: str, size: tuple[int, int] = (900, 600)) -> Image.Image:
    """A picture whose upper half is bright, and whose lower half is dark."""
    image = Image.new("L", size, 230)
    image.paste(20, (0, size[1] // 2, *size))
    if mode == "I;16":
        return Image.frombytes(mode, size, b"".join(bytes((0, v)) for v in image.tobytes()))
    return image.convert("RGB").convert(mode)


def shown(path: Path) -> Image.Image:
    return Image.open(BytesIO(small_picture(path, path.stat().st_mtime_ns)))


KINDS: list[tuple[str, str, dict[str, Any]]] = [
    ("RGB", "tif", {}),
    ("RGB", "tif", {"compression": "tiff_lzw"}),
    ("RGB", "tif", {"compression": "tiff_lzw", "tiffinfo": {317: 2}}),
    ("RGB", "tif", {"compression": "jpeg"}),
    ("RGBA", "tif", {"compression": "tiff_adobe_deflate"}),
    ("L", "tif", {"compression": "packbits"}),
    ("I;16", "tif", {}),
    ("CMYK", "tif", {}),
    ("P", "tif", {}),
    ("RGB", "jpg", {}),
    ("L", "jpg", {"progressive": True}),
]


@pytest.mark.parametrize(("mode", "ending", "options"), KINDS, ids=range(len(KINDS)))
def test_every_kind_of_image_is_shown_small(
    tmp_path: Path, mode: str, ending: str, options: dict[str, Any]
) -> None:
    path = tmp_path / f"a.{ending}"
    halves(mode).save(path, **options)
    small = shown(path)
    assert small.size == (320, 213)
    above, below = (small.convert("L").getpixel((160, y)) for y in (40, 170))
    assert abs(above - 230) < 12 and abs(below - 20) < 12


def test_a_picture_is_turned_as_its_camera_was(tmp_path: Path) -> None:
    for name in ("a.tif", "a.jpg"):
        exif = Image.Exif()
        exif[274] = 6
        halves("RGB").save(tmp_path / name, exif=exif)
        assert shown(tmp_path / name).size == (213, 320), name


def test_one_smaller_than_the_picture_is_not_blown_up(tmp_path: Path) -> None:
    halves("RGB", (64, 48)).save(tmp_path / "a.tif")
    assert shown(tmp_path / "a.tif").size == (64, 48)


def test_of_a_large_tiff_only_the_rows_that_are_shown_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves("RGB", (3000, 4000)).save(tmp_path / "a.tif")
    rows: list[int] = []
    decoded = thumbnails._decoded
    monkeypatch.setattr(
        thumbnails, "_decoded", lambda *given: rows.append(given[3]) or decoded(*given)
    )
    assert shown(tmp_path / "a.tif").size == (240, 320)
    assert rows == [1] * 320


def test_a_tiff_packed_in_parts_that_are_too_large_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halves("RGB").save(tmp_path / "a.tif", compression="tiff_lzw")
    monkeypatch.setattr(thumbnails, "MAX_PIECE_BYTES", 100)
    with pytest.raises(NoSmallPicture, match="too large parts"):
        shown(tmp_path / "a.tif")


@pytest.mark.parametrize("content", [b"", b"II*\0", b"nothing", b"\xff\xd8\xff\xe0"])
def test_what_is_no_image_has_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(NoSmallPicture):
        shown(tmp_path / "a.tif")


def test_a_file_that_was_changed_is_looked_at_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    halves("RGB").save(path)
    first = small_picture(path, 1)
    Image.new("RGB", (900, 600), (200, 0, 0)).save(path)
    assert small_picture(path, 1) == first
    assert small_picture(path, 2) != first
