"""Images, whole and broken: real files, written and then cut, swapped or flipped."""

import io
from pathlib import Path

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.errors import FileError, SourceVanished
from tasks.files import images
from tasks.files.images import BrokenImage, check_image, inspect_image

SIZE = (300, 200)


def picture() -> Image.Image:
    return Image.effect_noise(SIZE, 60).convert("RGB")


def cut(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


@pytest.mark.parametrize("name", ["a.tif", "a.JPG", "a.png", "a.webp"])
def test_a_complete_image_is_accepted(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2026:11:20 14:03:59"
    picture().save(tmp_path / name, exif=exif)
    inspect_image(tmp_path / name)


def test_an_empty_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    with pytest.raises(BrokenImage, match=r"a\.tif: it is empty") as caught:
        inspect_image(tmp_path / "a.tif")
    assert caught.value.reason == "it is empty (0 bytes)"
    assert caught.value.remedy


def test_a_file_of_zeros_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(bytes(5000))
    with pytest.raises(BrokenImage, match="zeros"):
        inspect_image(tmp_path / "a.tif")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.jpg", {}),
        ("a.png", {}),
    ],
)
def test_a_truncated_image_is_refused_by_name(
    tmp_path: Path, name: str, options: dict[str, str], share: float
) -> None:
    picture().save(tmp_path / name, **options)
    cut(tmp_path / name, share)
    with pytest.raises(BrokenImage, match=name):
        inspect_image(tmp_path / name)


def test_a_truncated_tiff_with_its_directory_first_is_refused(tmp_path: Path) -> None:
    """The directory is whole and only pixels are missing, as in an upload cut short."""
    pyvips.Image.gaussnoise(2000, 1500).cast("uchar").tiffsave(str(tmp_path / "v.tif"), strip=True)
    image = Image.open(tmp_path / "v.tif").convert("RGB")
    image.save(tmp_path / "a.tif")
    cut(tmp_path / "a.tif", 0.6)
    with pytest.raises(BrokenImage, match="cannot be decoded to its end"):
        inspect_image(tmp_path / "a.tif")


def test_a_corrected_file_under_the_same_name_is_looked_at_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    picture().save(path)
    whole = path.read_bytes()
    cut(path, 0.5)
    with pytest.raises(BrokenImage):
        inspect_image(path)
    path.write_bytes(whole)
    inspect_image(path)


def test_48_bit_colour_is_not_taken_for_broken(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 65535, (200, 300, 3), dtype=np.uint16)
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="rgb16", xres=15.75, yres=15.75)
    image.tiffsave(str(tmp_path / "a.tif"))
    inspect_image(tmp_path / "a.tif")
    cut(tmp_path / "a.tif", 0.8)
    with pytest.raises(BrokenImage):
        inspect_image(tmp_path / "a.tif")


def test_a_jpeg_named_tif_is_refused_and_told_so(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.tif")
    with pytest.raises(BrokenImage, match=r"named \.tif but holds a jpeg image") as caught:
        inspect_image(tmp_path / "a.tif")
    assert "ending of its content" in caught.value.remedy


def test_text_named_tif_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("<html>404</html>")
    with pytest.raises(BrokenImage, match="holds no image known here"):
        inspect_image(tmp_path / "a.tif")


def test_more_pixels_than_allowed_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 50_000)
    picture().save(tmp_path / "a.png")
    with pytest.raises(BrokenImage, match="300 × 200 pixels, more than the 50000 allowed"):
        inspect_image(tmp_path / "a.png")


def test_an_image_beyond_pillows_own_limit_is_read(tmp_path: Path) -> None:
    pyvips.Image.black(20_000, 10_000).tiffsave(str(tmp_path / "a.tif"), compression="deflate")
    inspect_image(tmp_path / "a.tif")


def test_a_camera_raw_is_known_by_its_signature_only(tmp_path: Path) -> None:
    (tmp_path / "a.raf").write_bytes(b"FUJIFILMCCD-RAW 0201" + bytes(500))
    inspect_image(tmp_path / "a.raf")


def test_a_missing_file_is_vanished_and_not_broken(tmp_path: Path) -> None:
    with pytest.raises(SourceVanished):
        inspect_image(tmp_path / "a.tif")


async def test_looking_does_not_hold_up_the_event_loop(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.tif")
    await check_image(tmp_path / "a.tif")


def encoded(name: str, **options: str) -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((40, 30), 60).convert("RGB").save(stream, name, **options)
    return stream.getvalue()


WHOLE = {
    "a.tif": encoded("TIFF"),
    "b.tif": encoded("TIFF", compression="tiff_lzw"),
    "a.jpg": encoded("JPEG"),
    "a.png": encoded("PNG"),
    "a.webp": encoded("WEBP"),
}


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(WHOLE)),
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0, 0.99), st.integers(0, 255)), max_size=4),
)
def test_any_damage_is_accepted_or_gives_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    share: float,
    flips: list[tuple[float, int]],
) -> None:
    content = bytearray(WHOLE[name])
    for place, value in flips:
        content[int(place * len(content))] = value
    path = tmp_path_factory.mktemp("damage") / name
    path.write_bytes(content[: int(share * len(content))])
    try:
        inspect_image(path)
    except FileError as error:
        assert error.file == path
