"""Whatever an image claims or holds: a result, or an error that names it."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hpc.runner.errors import BadInput
from hpc.runner.imaging.code_regions import code_regions
from hpc.runner.imaging.codes import read_codes
from hpc.runner.imaging.picture import read_colour, read_grey
from hpc.runner.imaging.ruler import read_ruler
from hpc.runner.imaging.variants import ALL_RECIPES, variants
from hpc.runner.modules import crop

FEW = settings(max_examples=25)
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n")
MAX_PIXELS = 10**7
"""Pixels; a sound image that is larger would only be slow to read."""
SIDES = st.integers(1, 90)


def tiff_header(width: int, height: int, bits: int, samples: int, rows: int) -> bytes:
    """A small TIFF that claims anything about itself."""
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 2 if samples >= 3 else 1),
        (273, 4, 200),
        (277, 3, samples),
        (278, 4, rows),
        (279, 4, 300),
    ]
    packed = b"".join(struct.pack("<HHLL", tag, kind, 1, value) for tag, kind, value in entries)
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + b"\0\0\0\0").ljust(
        200, b"\0"
    ) + bytes(300)


@FEW
@given(
    width=st.integers(0, 2**32 - 1),
    height=st.integers(0, 2**32 - 1),
    bits=st.sampled_from([0, 1, 7, 8, 16, 32, 64, 65535]),
    samples=st.sampled_from([0, 1, 3, 4, 5, 65535]),
    rows=st.integers(0, 2**32 - 1),
)
def test_any_header_is_read_or_refused_by_name(tmp_path: Path, **claims: int) -> None:
    path = tmp_path / "claims.tif"
    path.write_bytes(tiff_header(**claims))
    try:
        small, size = read_colour(path, MAX_PIXELS, max_side=100)
    except BadInput as error:
        assert "claims.tif" in str(error)
    else:
        assert (small.width, small.height) == size or max(size) > 100


@FEW
@given(start=st.sampled_from(MAGIC), rest=st.binary(max_size=200))
def test_any_bytes_after_a_magic_number_are_refused_by_name(
    tmp_path: Path, start: bytes, rest: bytes
) -> None:
    path = tmp_path / "noise.img"
    path.write_bytes(start + rest)
    with pytest.raises(BadInput, match=r"noise\.img"):
        read_grey(path)


@FEW
@given(width=SIDES, height=SIDES, seed=st.integers(0, 9))
def test_an_image_of_any_size_is_read(tmp_path: Path, width, height, seed) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    path = tmp_path / "any.png"
    Image.fromarray(pixels).save(path)
    grey = read_grey(path)
    assert read_codes(grey, budget_s=0.1).codes == []
    assert read_ruler(path) is None
    for box in (region.box for region in code_regions(grey)):
        assert 0 <= box.x < box.right <= width
        assert 0 <= box.y < box.bottom <= height


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (3, 3)])
def test_a_sliver_is_a_result(make_job, size: tuple[int, int]) -> None:
    job = make_job("sliver.png", Image.new("RGB", size, (9, 9, 9)).save)
    assert crop.run(job)["details"]["box"] is None
    assert read_ruler(job.image()) is None


def test_every_variant_knows_where_its_points_lie() -> None:
    part = np.full((100, 200), 255, dtype=np.uint8)
    for variant in variants(part, ALL_RECIPES):
        height, width = variant.pixels.shape
        middle = variant.in_part(width / 2, height / 2)
        assert middle == pytest.approx((100, 50), abs=1.5)
        along = variant.in_part(width / 2 + 30 * variant.scale, height / 2 - 40 * variant.scale)
        assert np.hypot(along[0] - middle[0], along[1] - middle[1]) == pytest.approx(50, abs=0.5)
