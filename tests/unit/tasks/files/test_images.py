"""Images, whole and broken: real files, written and then cut, swapped or flipped."""

import io
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tasks.errors import FileError, SourceVanished
from tasks.files.images import BrokenImage, inspect_image, look_at_image

SIZE = (300, 200)


def picture() -> Image.Image:
    return Image.effect_noise(SIZE, 60).convert("RGB")


def cut(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


@pytest.mark.parametrize(
    ("name", "format"), [("a.tif", "tif"), ("a.JPG", "jpeg"), ("a.png", "png"), ("a.webp", "webp")]
)
def test_a_whole_image_tells_its_facts(tmp_path: Path, name: str, format: str) -> None:
    picture().save(tmp_path / name, dpi=(400, 400))
    facts = inspect_image(tmp_path / name)
    assert (facts.format, facts.width, facts.height, facts.mode) == (format, *SIZE, "RGB")
    if format != "webp":
        assert facts.dpi == pytest.approx((400, 400), rel=0.01)


def test_capture_time_orientation_and_profile_are_read(tmp_path: Path) -> None:
    image, exif = picture(), Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({0x9003: "2026:11:20 14:03:59", 0x9011: "+01:00"})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "a.jpg", exif=exif, icc_profile=profile)
    facts = inspect_image(tmp_path / "a.jpg")
    assert facts.capture_time == datetime(2026, 11, 20, 13, 3, 59, tzinfo=UTC)
    assert (facts.orientation, facts.icc) == (6, True)


def test_a_camera_without_a_zone_is_read_in_the_zone_it_stood_in(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0132] = "2026:07:01 12:00:00"
    picture().save(tmp_path / "a.tif", exif=exif)
    facts = inspect_image(tmp_path / "a.tif", camera_zone=ZoneInfo("Europe/Copenhagen"))
    assert facts.capture_time == datetime(2026, 7, 1, 10, tzinfo=UTC)


def test_the_zeros_of_an_unset_clock_are_no_time(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0132] = "0000:00:00 00:00:00"
    picture().save(tmp_path / "a.jpg", exif=exif)
    assert inspect_image(tmp_path / "a.jpg").capture_time is None


def test_an_empty_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.tif").touch()
    with pytest.raises(BrokenImage, match=r"a\.tif: it is empty") as caught:
        inspect_image(tmp_path / "a.tif")
    assert caught.value.problem == "it is empty (0 bytes)"
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
    assert inspect_image(path).width == 300


def test_48_bit_colour_is_not_taken_for_broken(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 65535, (200, 300, 3), dtype=np.uint16)
    image = pyvips.Image.new_from_array(pixels).copy(interpretation="rgb16", xres=15.75, yres=15.75)
    image.tiffsave(str(tmp_path / "a.tif"))
    facts = inspect_image(tmp_path / "a.tif")
    assert (facts.width, facts.height) == SIZE
    assert facts.dpi == pytest.approx((400, 400), rel=0.01)
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


def test_more_pixels_than_allowed_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.png")
    with pytest.raises(BrokenImage, match="300 × 200 pixels, more than the 50000 allowed"):
        inspect_image(tmp_path / "a.png", max_pixels=50_000)


def test_an_image_beyond_pillows_own_limit_is_read(tmp_path: Path) -> None:
    pyvips.Image.black(20_000, 10_000).tiffsave(str(tmp_path / "a.tif"), compression="deflate")
    assert inspect_image(tmp_path / "a.tif").width == 20_000


def test_a_camera_raw_is_known_by_its_signature_only(tmp_path: Path) -> None:
    (tmp_path / "a.raf").write_bytes(b"FUJIFILMCCD-RAW 0201" + bytes(500))
    facts = inspect_image(tmp_path / "a.raf")
    assert (facts.format, facts.width) == ("raf", None)


def test_a_missing_file_is_vanished_and_not_broken(tmp_path: Path) -> None:
    with pytest.raises(SourceVanished):
        inspect_image(tmp_path / "a.tif")


async def test_looking_does_not_hold_up_the_event_loop(tmp_path: Path) -> None:
    picture().save(tmp_path / "a.tif")
    assert (await look_at_image(tmp_path / "a.tif")).format == "tif"


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
def test_any_damage_gives_facts_or_an_error_of_ours(
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
        assert inspect_image(path).width
    except FileError as error:
        assert error.file == path
