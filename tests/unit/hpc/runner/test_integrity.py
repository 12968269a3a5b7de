"""Pictures of which a part is missing or damaged: never a half-black copy, never in silence."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hpc.runner.errors import BadInput
from hpc.runner.imaging.integrity import check_integrity
from hpc.runner.imaging.jpeg import damage_of, frame_of
from hpc.runner.job import GrantedChild
from hpc.runner.modules import barcode, crop, derive
from tests.support.jobs_on_disk import job_on_disk

CHILDREN = (GrantedChild(400, "child-400"), GrantedChild(72, "child-72"))


def grainy(width: int = 240, height: int = 180) -> Image.Image:
    """No even part, as no photograph has one."""
    noise = np.random.default_rng(5).normal(0, 9, (height, width, 3))
    return Image.fromarray(np.clip(noise.cumsum(axis=1) + 128, 1, 255).astype(np.uint8))


def encoded(kind: str, image: Image.Image | None = None, **options: object) -> bytes:
    stream = io.BytesIO()
    (image or grainy()).save(stream, kind, **options)
    return stream.getvalue()


WHOLE = {
    "plain.tif": encoded("TIFF"),
    "lzw.tif": encoded("TIFF", compression="tiff_lzw"),
    "deflate.tif": encoded("TIFF", compression="tiff_adobe_deflate"),
    "jpeg.tif": encoded("TIFF", compression="jpeg"),
    "a.jpg": encoded("JPEG", quality=92),
    "progressive.jpg": encoded("JPEG", quality=92, progressive=True),
    "restarts.jpg": encoded("JPEG", quality=92, restart_marker_rows=1),
    "full_colour.jpg": encoded("JPEG", quality=92, subsampling=0),
    "a.png": encoded("PNG"),
    "a.webp": encoded("WEBP"),
    "a.jp2": encoded("JPEG2000"),
}
ENDED = ("a.jpg", "restarts.jpg", "full_colour.jpg")
"""Cut, and an end put to it; of a progressive one a coarse picture is left, and a warning."""


@settings(max_examples=120)
@given(
    st.sampled_from(sorted(WHOLE)), st.floats(0.01, 0.9), st.sampled_from(["cut", "zeros", "end"])
)
def test_a_cut_file_gives_no_derivative_wherever_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, name: str, share: float, how: str
) -> None:
    whole = WHOLE[name]
    kept = int(len(whole) * share)
    content = whole[:kept]
    if how == "zeros":
        content += bytes(len(whole) - kept)
    if how == "end" and name in ENDED:
        content = content[: int(0.9 * kept)] + b"\xff\xd9"
    root = tmp_path_factory.mktemp("cut")
    job = job_on_disk(root, name, lambda path: path.write_bytes(content), CHILDREN)
    for module in (crop, derive):
        with pytest.raises(BadInput, match=name):
            module.run(job)
    folder = job.folder / "derived"
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_jpeg_that_ends_where_a_restart_was_to_come_lacks_a_part(tmp_path: Path) -> None:
    """Each row was whole, so that nothing ended early: it passed with a warning."""
    whole = WHOLE["restarts.jpg"]
    starts = [found.start() for found in re.finditer(rb"\xff[\xd0-\xd7]", whole)]
    assert len(starts) == 11
    for n, start in enumerate(starts):
        path = tmp_path / f"{n}.jpg"
        path.write_bytes(whole[:start] + b"\xff\xd9")
        if n < 9:
            with pytest.raises(BadInput, match=f"{n}.jpg: a part of its picture is missing"):
                check_integrity(path)
        else:  # less than two rows of blocks are no grey rim, and a warning
            assert len(check_integrity(path)) == 1


def test_a_whole_file_of_each_kind_passes_without_a_word(tmp_path: Path) -> None:
    for name, content in WHOLE.items():
        (tmp_path / name).write_bytes(content)
        assert check_integrity(tmp_path / name) == []


def with_strips_of_zeros(path: Path, compression: str | None) -> None:
    """A TIFF whose directory and first half are right, as a copy leaves it that stood still."""
    image = grainy(240, 800)
    image.save(path, compression=compression)
    with Image.open(path) as saved:
        parts = list(zip(saved.tag_v2[273], saved.tag_v2[279], strict=True))
    content = bytearray(path.read_bytes())
    if len(parts) == 1:
        parts = [(parts[0][0], 0), (parts[0][0] + parts[0][1] // 2, parts[0][1] // 2)]
    for offset, count in parts[len(parts) // 2 :]:
        content[offset : offset + count] = bytes(count)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"]
)
def test_strips_that_were_never_written_make_no_half_black_copy(
    make_job, compression: str | None
) -> None:
    job = make_job("s.tif", lambda path: with_strips_of_zeros(path, compression), CHILDREN)
    for module in (derive, crop, barcode):
        with pytest.raises(BadInput, match=r"s\.tif"):
            module.run(job)
    assert not any((job.folder / "derived").glob("*"))


@pytest.mark.parametrize("of_this_image", [False, True])
def test_black_that_a_person_says_is_right_is_read(make_job, of_this_image: bool) -> None:
    def save(path: Path) -> None:
        with_strips_of_zeros(path, None)

    params = {} if of_this_image else {"accept_black": True}
    job = make_job("s.tif", save, CHILDREN, **params)._replace(black_accepted=of_this_image)
    derive.run(job)
    assert len(list((job.folder / "derived").iterdir())) == 2


def test_a_narrow_black_rim_is_a_pictures_own(tmp_path: Path) -> None:
    image = grainy(200, 400)
    image.paste((0, 0, 0), (0, 392, 200, 400))
    image.save(tmp_path / "a.tif")
    assert check_integrity(tmp_path / "a.tif") == []


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0}, {"restart_marker_rows": 2}], ids=["halved", "full", "marks"]
)
def test_a_corrupt_block_in_a_jpeg_is_a_warning(make_job, place: float, options: dict) -> None:
    content = bytearray(encoded("JPEG", quality=92, **options))
    at = int(len(content) * place)
    for n in range(60):
        content[at + n] = (37 * n + 11) % 251
    job = make_job("s.jpg", lambda path: path.write_bytes(content), CHILDREN)
    found = crop.run(job)
    assert "s.jpg: this JPEG is corrupt" in found["warning"]
    assert "corrupt" in derive.run(job)["warning"]


@pytest.mark.parametrize("height", [176, 177, 183, 184])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_left_over_pixels_are_told_and_a_sound_end_is_not(
    tmp_path: Path, height: int, subsampling: int, progressive: bool
) -> None:
    path = tmp_path / "a.jpg"
    content = encoded("JPEG", grainy(240, height), subsampling=subsampling, progressive=progressive)
    path.write_bytes(content + b"what a telephone adds")
    assert damage_of(path) is None
    end = frame_of(content).end
    assert end is not None
    path.write_bytes(content[:end] + b"\x12\x34\x56\x78\x9a" + content[end:])
    damage = damage_of(path)
    assert damage is not None
    assert not damage.missing
