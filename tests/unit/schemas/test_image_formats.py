"""What names and first bytes say about an image."""

import pytest

from schemas.image_formats import agrees, format_of_content, format_of_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tif", "tif"),
        ("a.TIFF", "tif"),
        ("a.b.JPG", "jpeg"),
        ("a.jpeg", "jpeg"),
        ("a.RAF", "raf"),
        ("a.cr3", "cr3"),
        ("a.json", None),
        ("a", None),
    ],
)
def test_an_ending_names_a_format_in_any_case(name: str, expected: str | None) -> None:
    assert format_of_name(name) == expected


def test_content_is_known_by_its_first_bytes() -> None:
    assert format_of_content(b"II*\0" + b"\x08\0\0\0") == "tif"
    assert format_of_content(b"MM\0+" + b"\0" * 8) == "tif"
    assert format_of_content(b"\xff\xd8\xff\xe1") == "jpeg"
    assert format_of_content(b"\0\0\0\x18ftypcrx ") == "cr3"
    assert format_of_content(b"plain text") is None
    assert format_of_content(b"") is None


def test_a_dng_is_a_tiff_inside_and_a_tif_is_no_jpeg() -> None:
    assert agrees("dng", "tif")
    assert not agrees("tif", "jpeg")
