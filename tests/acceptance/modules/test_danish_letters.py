"""How many of the Danish letters printed on labels are read as what they are."""

import sys
from collections import Counter

import pytest
import pyvips
from PIL import Image, ImageFilter

from demo.lettering import text_width, write
from hpc.job.imaging.text import read_labels

DANISH = (
    "ÆRØ Ærøskøbing, Ålborg Å",
    "LÆSØ Æbelø, Sæby Østerå",
    "SÆBY NÆSTVED SKÅDE ØSTRUP",
    "PRÆSTØ Æble og pære på øen",
    "KJÆR LÆRKE BÆK ÅRHUS",
    "Østerby Ølgaard Åle Ålbæk",
    "Blåbær på Læsø, Søby Ås",
)
LATIN = ("CYPERACEAE Aesculus", "ROSACEAE Aegopodium", "BETULACEAE CAESIA", "MICHAEL ISRAEL")
SIZES = ((24, 0.4), (36, 0.6), (48, 0.9), (60, 1.2))
"""Height of the letters in pixels, and blur."""
LEAST = {"æ": 0.95, "ø": 0.95, "å": 0.95, "Ø": 0.95, "Å": 0.95, "Æ": 0.55}


@pytest.mark.timeout(600)
def test_danish_letters_are_kept_and_latin_ones_not_made_danish(capsys) -> None:
    printed, kept = Counter(), Counter()
    for size, blur in SIZES:
        for line in DANISH:
            read = Counter(read_line(line, size, blur))
            for letter in LEAST:
                printed[letter] += line.count(letter)
                kept[letter] += min(read[letter], line.count(letter))
        assert [line for line in LATIN if set(read_line(line, size, blur)) & set("æøåÆØÅ")] == []
    shares = {letter: kept[letter] / printed[letter] for letter in LEAST}
    with capsys.disabled():
        told = "  ".join(f"{letter} {share:.0%}" for letter, share in shares.items())
        sys.stdout.write(f"\nletters kept, of {printed.total()}: {told}\n")
    assert {letter: share for letter, share in shares.items() if share < LEAST[letter]} == {}


def read_line(line: str, size: int, blur: float) -> str:
    """What is read where `line` is printed."""
    card = Image.new("RGB", (text_width(line, size) + 80, size * 3), (245, 240, 225))
    write(card, (40, size), line, size)
    shown = pyvips.Image.new_from_array(card.filter(ImageFilter.GaussianBlur(blur)))
    return " ".join(line.text for label in read_labels(shown, 2) for line in label.lines)
