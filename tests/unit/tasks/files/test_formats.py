"""Which words mean one format."""

import pytest

from tasks.files.formats import same_format


@pytest.mark.parametrize(("one", "other"), [("TIFF", "tif"), ("jpg", "JPEG"), (".RAF", "raf")])
def test_two_words_for_one_format_are_the_same(one: str, other: str) -> None:
    assert same_format(one, other)
    assert not same_format(one, "png")
