"""A whole image passes, whatever its kind; one that is cut, empty or misnamed is told of."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image

from tests.support.camera import SIGNATURES, camera_image, camera_raw, picture
from workstation.images import reading
from workstation.images.decoder_messages import kept_messages
from workstation.images.reading import UnusableImage, check_image, check_raw
from workstation.problems import FileGone

KINDS = [
    (mode, compression)
    for mode in ("RGB", "L", "I;16", "CMYK", "1", "LAB", "YCbCr")
    for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    if not (compression == "jpeg" and mode in ("I;16", "1"))
]


@pytest.mark.parametrize(("mode", "compression"), KINDS)
def test_a_whole_tiff_passes_and_a_cut_one_does_not(
    tmp_path: Path, mode: str, compression: str | None
) -> None:
    path = camera_image(tmp_path / "æ ø.tif", size=(200, 300), mode=mode, compression=compression)
    check_image(path)
    whole = path.read_bytes()
    for length in (len(whole) // 2, 100, 9):
        path.write_bytes(whole[:length])
        with pytest.raises(UnusableImage, match=r"æ ø\.tif: "):
            check_image(path)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_every_strip_is_decoded_to_its_end(tmp_path: Path, compression: str) -> None:
    path = camera_image(tmp_path / "a.tif", size=(400, 600), compression=compression)
    with Image.open(path) as image:
        offsets, sizes = image.tag_v2[273], image.tag_v2[279]  # type: ignore[attr-defined]
    assert len(offsets) > 2
    whole = path.read_bytes()
    for offset, size in (list(zip(offsets, sizes, strict=True))[i] for i in (0, -1)):
        zeros = bytearray(whole)
        zeros[offset : offset + size] = bytes(size)
        path.write_bytes(bytes(zeros))
        with pytest.raises(UnusableImage):
            check_image(path)


def test_tiles_and_planes_of_colours_are_decoded_too(tmp_path: Path) -> None:
    pyvips = pytest.importorskip("pyvips")
    source = camera_image(tmp_path / "a.png.tif", size=(300, 500))
    for name, options in (
        ("tiles", {"tile": True, "compression": "deflate", "tile_width": 128, "tile_height": 64}),
        ("large", {"bigtiff": True, "compression": "lzw"}),
        ("deep", {"compression": "deflate", "predictor": "horizontal"}),
        ("float", {"compression": "deflate", "predictor": "float"}),
    ):
        picture = pyvips.Image.new_from_file(str(source))
        if name == "deep":
            picture = (picture.cast("ushort") * 256).copy(interpretation="rgb16")
        if name == "float":
            picture = picture.cast("float")
        path = tmp_path / f"{name}.tif"
        picture.tiffsave(str(path), **options)
        check_image(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UnusableImage):
            check_image(path)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_whole_jpeg_passes_and_a_cut_one_does_not(tmp_path: Path, progressive: bool) -> None:
    path = camera_image(tmp_path / "a.JPG", size=(300, 200), progressive=progressive)
    check_image(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 9 // 10])
    with pytest.raises(UnusableImage, match="cannot be decoded to its end"):
        check_image(path)


@pytest.mark.parametrize("check", [check_image, check_raw])
def test_empty_files_and_files_of_zeros_are_told_of(tmp_path: Path, check: object) -> None:
    assert callable(check)
    path = tmp_path / ("a.raf" if check is check_raw else "a.tif")
    path.write_bytes(b"")
    with pytest.raises(UnusableImage, match="empty"):
        check(path)
    path.write_bytes(bytes(5000))
    with pytest.raises(UnusableImage, match="zeros only"):
        check(path)


def test_a_name_that_promises_another_content_is_told_of(tmp_path: Path) -> None:
    jpeg = camera_image(tmp_path / "a.jpg")
    with pytest.raises(UnusableImage, match=r"named \.tif but holds a jpeg image"):
        check_image(jpeg.rename(tmp_path / "a.tif"))
    (tmp_path / "b.raf").write_bytes(b"a note, and no raw file at all")
    with pytest.raises(UnusableImage, match="nothing known"):
        check_raw(tmp_path / "b.raf")


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_a_raw_is_known_by_its_first_bytes(tmp_path: Path, suffix: str) -> None:
    check_raw(camera_raw(tmp_path / f"A{suffix.upper()}"))
    other = ".cr3" if suffix == ".raf" else ".raf"
    with pytest.raises(UnusableImage, match="is named"):
        check_raw((tmp_path / f"A{suffix.upper()}").rename(tmp_path / f"B{other}"))


def test_more_pixels_than_ingest_takes_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_PIXELS", 50_000)
    for name in ("a.tif", "a.jpg"):
        with pytest.raises(UnusableImage, match="300 × 200"):
            check_image(camera_image(tmp_path / name, size=(300, 200)))


def test_pillows_own_limit_neither_refuses_nor_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for name in ("a.tif", "a.jpg"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check_image(camera_image(tmp_path / name))


def test_a_file_that_is_gone_is_not_called_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileGone):
        check_image(tmp_path / "a.tif")


PEAK = """
import resource, sys
from pathlib import Path
from workstation.images.reading import check_image
check_image(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
check_image(Path(sys.argv[2]))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.parametrize(
    ("suffix", "compression"), [(".tif", None), (".tif", "tiff_lzw"), (".jpg", None)]
)
def test_memory_stays_far_below_the_size_of_a_large_picture(
    tmp_path: Path, suffix: str, compression: str | None
) -> None:
    small = camera_image(tmp_path / f"a{suffix}", compression=compression)
    large = tmp_path / f"b{suffix}"
    flat = picture(1, (5000, 10)).resize((5000, 7000), Image.Resampling.NEAREST)
    flat.save(large, compression=compression)
    command = [sys.executable, "-c", PEAK, str(small), str(large)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 5000 * 7000 * 3 / 4


def test_pixels_that_end_too_early_are_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    picture(1, (64, 48)).save(path)  # its directory lies before its pixels
    check_image(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnusableImage, match="in the middle of its pixels"):
        check_image(path)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_a_decoders_own_words_are_in_the_error_and_not_on_the_screen(
    tmp_path: Path, compression: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = camera_image(tmp_path / "a.tif", size=(400, 600), compression=compression)
    with Image.open(path) as image:
        offset, size = image.tag_v2[273][1], image.tag_v2[279][1]  # type: ignore[attr-defined]
    damaged = bytearray(path.read_bytes())
    damaged[offset + 5 : offset + size] = b"\x55" * (size - 5)
    path.write_bytes(bytes(damaged))
    with pytest.raises(UnusableImage, match=r"to its end \(\w+.*: .+\)"):
        check_image(path)
    os.write(2, b"said after\n")
    assert capfd.readouterr() == ("", "said after\n")


def test_what_others_write_meanwhile_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with kept_messages():
        os.write(2, b"of another thread\n")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "of another thread\n"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a stream is not closed from outside")
def test_a_program_without_an_error_stream_looks_at_images_too(tmp_path: Path) -> None:
    path = camera_image(tmp_path / "a.tif", compression="tiff_lzw")
    program = (
        "from pathlib import Path; from workstation.images.reading import check_image, read_exif; "
    )
    program += f"path = Path({str(path)!r}); check_image(path); print(len(read_exif(path)))"
    command = ["sh", "-c", '"$0" -c "$1" 2>&-', sys.executable, program]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    assert (done.returncode, done.stdout) == (0, b"3\n")
