"""Images whose file has its full size and a part that was never written."""

import io
from pathlib import Path

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.errors import FileError, SourceVanished
from tasks.files.images import BrokenImage, inspect_image
from tasks.files.unwritten import unwritten_part
from tests.support.zoo import READ

STRIPS = {278: 4}
"""Rows of each strip: 75 of them."""


def noise(seed: int = 5, size: tuple[int, int] = (300, 400)) -> Image.Image:
    """A picture as grainy as any photograph, with dark places."""
    values = np.random.default_rng(seed).normal(90, 60, (*size, 3))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def encoded(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    noise().save(stream, kind, **options)
    return stream.getvalue()


def by_vips(**options: object) -> bytes:
    image = pyvips.Image.new_from_array(np.asarray(noise())).copy(interpretation="srgb")
    return bytes(image.tiffsave_buffer(**options))


WHOLE = {
    "plain.tif": encoded("TIFF"),
    "strips.tif": encoded("TIFF", tiffinfo=STRIPS),
    "one_strip.tif": encoded("TIFF", tiffinfo={278: 300}),
    "lzw.tif": encoded("TIFF", compression="tiff_lzw", tiffinfo=STRIPS),
    "lzw_one_strip.tif": encoded("TIFF", compression="tiff_lzw", tiffinfo={278: 300}),
    "deflate.tif": encoded("TIFF", compression="tiff_adobe_deflate", tiffinfo=STRIPS),
    "packbits.tif": encoded("TIFF", compression="packbits", tiffinfo=STRIPS),
    "tiles.tif": by_vips(tile=True, tile_width=64, tile_height=64),
    "lzw_tiles.tif": by_vips(tile=True, tile_width=64, tile_height=64, compression="lzw"),
    "big.tif": by_vips(bigtiff=True),
    "pyramid.tif": by_vips(pyramid=True, tile=True, compression="deflate"),
    "a.jpg": encoded("JPEG", quality=100, subsampling=0),
    "a.png": encoded("PNG"),
    "a.webp": encoded("WEBP", lossless=True),
    "a.jp2": encoded("JPEG2000"),
}
PARTED = ("strips.tif", "lzw.tif", "deflate.tif", "packbits.tif", "tiles.tif", "lzw_tiles.tif")


def parts_of(content: bytes) -> list[tuple[int, int]]:
    with Image.open(io.BytesIO(content)) as image:
        tags = image.tag_v2
        places = (324, 325) if 324 in tags else (273, 279)
        return list(zip(*(tags[each] for each in places), strict=True))


def emptied(content: bytes, parts: list[tuple[int, int]]) -> bytes:
    holed = bytearray(content)
    for offset, count in parts:
        holed[offset : offset + count] = bytes(count)
    return bytes(holed)


def found(folder: Path, name: str, content: bytes) -> str | None:
    (folder / name).write_bytes(content)
    return unwritten_part(folder / name)


def test_a_complete_image_of_any_kind_has_no_unwritten_part(tmp_path: Path) -> None:
    for name, content in WHOLE.items():
        assert found(tmp_path, name, content) is None, name
    for name, save in READ.items():
        save(tmp_path / name)
        assert unwritten_part(tmp_path / name) is None, name


@pytest.mark.parametrize("name", PARTED)
@pytest.mark.parametrize("where", ["begin", "middle", "end"])
def test_strips_and_tiles_that_were_never_written_are_counted(
    tmp_path: Path, name: str, where: str
) -> None:
    parts = parts_of(WHOLE[name])
    many = len(parts) // 3
    start = {"begin": 0, "middle": many, "end": len(parts) - many}[where]
    said = found(tmp_path, name, emptied(WHOLE[name], parts[start : start + many]))
    kind = "tiles" if "tiles" in name else "strips"
    assert said == f"{many} of its {len(parts)} {kind} are all zero"


@pytest.mark.parametrize("name", [each for each in PARTED if each not in ("strips.tif",)])
def test_one_packed_strip_or_a_twentieth_of_unpacked_pixels_is_enough(
    tmp_path: Path, name: str
) -> None:
    parts = parts_of(WHOLE[name])
    many = len(parts) // 15 if name == "tiles.tif" else 1
    assert found(tmp_path, name, emptied(WHOLE[name], parts[3 : 3 + many])) is not None


def test_an_unwritten_part_in_the_middle_of_a_single_strip_is_found(tmp_path: Path) -> None:
    image = noise(size=(600, 800))
    for name, compression in (("plain.tif", None), ("lzw.tif", "tiff_lzw")):
        image.save(tmp_path / name, compression=compression, tiffinfo={278: 600})
        content = (tmp_path / name).read_bytes()
        ((offset, count),) = parts_of(content)
        holed = emptied(content, [(offset + count // 3, count // 3)])
        said = found(tmp_path, name, holed)
        assert said is not None and said.endswith(" % of its pixels are all zero")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.jp2", "camera.raf", "camera.cr3"])
def test_the_end_of_a_file_that_is_no_tiff_is_given_in_percent(tmp_path: Path, name: str) -> None:
    content = WHOLE.get(name) or np.random.default_rng(1).bytes(200_000)
    kept = round(len(content) * 0.64)
    said = found(tmp_path, name, content[:kept] + bytes(len(content) - kept))
    assert said == "the last 36 % of its bytes are all zero"


def test_what_a_camera_pads_its_file_with_counts_as_written(tmp_path: Path) -> None:
    assert found(tmp_path, "a.jpg", WHOLE["a.jpg"] + bytes(2048)) is None


def test_dark_rims_masks_and_black_thumbnails_are_a_pictures_own(tmp_path: Path) -> None:
    image = noise()
    image.paste((0, 0, 0), (0, 288, 400, 300))
    image.save(tmp_path / "rim.tif", tiffinfo=STRIPS)
    assert unwritten_part(tmp_path / "rim.tif") is None
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        image.paste((0, 0, 0), (0, 100, 400, 300))
        image.save(tmp_path / "dark.tif", compression=compression, tiffinfo=STRIPS)
        assert unwritten_part(tmp_path / "dark.tif") is None, compression
    mask = Image.new("1", (400, 300))
    mask.save(tmp_path / "mask.tif", compression="group4")
    assert unwritten_part(tmp_path / "mask.tif") is None
    noise().save(tmp_path / "masked.tif", save_all=True, append_images=[Image.new("L", (400, 300))])
    # Pillow marks no page as a mask: one that is wholly black is a question for a person.
    assert unwritten_part(tmp_path / "masked.tif") is not None


def test_a_frame_that_is_black_altogether_is_a_question(tmp_path: Path) -> None:
    Image.new("RGB", (300, 200)).save(tmp_path / "dark.tif")
    assert unwritten_part(tmp_path / "dark.tif") is not None


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceVanished, match="away"):
        unwritten_part(tmp_path / "away.tif")


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from([None, "tiff_lzw", "tiff_adobe_deflate", "packbits"]))
def test_no_picture_without_black_is_asked_about(
    tmp_path_factory: pytest.TempPathFactory, seed: int, compression: str | None
) -> None:
    path = tmp_path_factory.mktemp("good") / "a.tif"
    noise(seed, (60, 80)).save(path, compression=compression)
    assert unwritten_part(path) is None


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.floats(0.02, 0.94))
def test_a_copy_that_was_cut_short_is_held_or_refused_wherever_it_ended(
    tmp_path_factory: pytest.TempPathFactory, name: str, share: float
) -> None:
    content = WHOLE[name]
    kept = int(len(content) * share)
    path = tmp_path_factory.mktemp("cut") / name
    path.write_bytes(content[:kept] + bytes(len(content) - kept))
    try:
        inspect_image(path)
    except BrokenImage:
        return
    except FileError as error:  # pragma: no cover
        raise AssertionError(str(error)) from error
    assert unwritten_part(path) is not None
