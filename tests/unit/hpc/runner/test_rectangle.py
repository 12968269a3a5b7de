"""Where a turned rectangle's corners are, in the upright image and in the stored one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from hpc.runner.imaging.rectangle import Box, Rectangle, rectangle_through

SIZES = st.floats(10, 1000)
TURNED = st.floats(-12, 12)


@given(x=SIZES, y=SIZES, width=SIZES, height=SIZES, angle=TURNED)
def test_its_corners_say_it_all(**given: float) -> None:
    rectangle = Rectangle(**given)
    again = rectangle_through(rectangle.corners())
    for name, value in given.items():
        assert getattr(again, name) == pytest.approx(value, abs=1e-6)


def test_an_upright_one_is_its_box() -> None:
    assert Rectangle(25, 40, 30, 40, 0.0).box(200, 200) == Box(10, 20, 30, 40)


@given(angle=TURNED, x=st.integers(0, 900), y=st.integers(0, 900))
def test_what_it_is_drawn_around_lies_inside(angle: float, x: int, y: int) -> None:
    sheet = Rectangle(400, 500, 300, 200, angle)
    grown = sheet.around(Box(x, y, 50, 30))
    assert grown.angle == angle
    assert min(grown.width - 300, grown.height - 200) >= -1e-6
    box = grown.box(2000, 2000)
    assert box.x <= x + 1
    assert box.y <= y + 1
    assert box.right >= x + 49
    assert box.bottom >= y + 29


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_found_again_among_stored_pixels(orientation: int) -> None:
    stored = Image.new("L", (90, 60))
    stored.getexif()[0x0112] = orientation
    stored.putpixel((70, 10), 255)
    shown = ImageOps.exif_transpose(stored)
    (x, y) = next((n % shown.width, n // shown.width) for n, v in enumerate(shown.tobytes()) if v)
    there = Rectangle(x + 0.5, y + 0.5, 20, 10, 3.0).stored(orientation, shown.size)
    assert (there.x, there.y) == (70.5, 10.5)
    lying = orientation >= 5
    assert (there.width, there.height) == ((10, 20) if lying else (20, 10))
    assert there.angle == (-3.0 if orientation in (2, 4, 5, 7) else 3.0)
