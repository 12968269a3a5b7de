"""Danish letters on labels: a sample of what `make accuracy` reads, every kind of it.

The smallest print and the largest, upright and slanted faces with and without serifs and a
typewriter's, each in another of the four prints (size, blur and noise).
"""

import os

import pytest

from tests.accuracy.letters import SIZES, danish, ligatures, together

TYPEFACES = ("FreeSans", "FreeSerifBoldItalic", "FreeMonoOblique", "LiberationMono-Italic")


@pytest.mark.timeout(600)
def test_danish_letters_are_kept_and_latin_ones_not_made_danish() -> None:
    assert danish((SIZES[0], SIZES[-1])).faults() == []


@pytest.mark.timeout(600)
def test_ligatures_of_many_typefaces_are_kept_and_no_two_letters_joined() -> None:
    read = {name: ligatures(name) for name in TYPEFACES}
    left_out = [name for name, letters in read.items() if letters is None]
    assert together([each for each in read.values() if each is not None]).faults() == []
    if left_out and os.environ.get("CI"):
        pytest.fail(f"{left_out} are in no font folder: run tests/debian-packages.sh")
