"""How many of the Danish letters printed on labels are read as what they are, and none besides."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyvips
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from demo.specimens.lettering import text_width, write
from hpc.runner.imaging.text import read_labels

DANISH = (
    "ÆRØ Ærøskøbing, Ålborg Å",
    "LÆSØ Æbelø, Sæby Østerå",
    "SÆBY NÆSTVED SKÅDE ØSTRUP",
    "PRÆSTØ Æble og pære på øen",
    "KJÆR LÆRKE BÆK ÅRHUS",
    "Østerby Ølgaard Åle Ålbæk",
    "Blåbær på Læsø, Søby Ås",
)
LATIN = (
    "CYPERACEAE Aesculus VAE",
    "ROSACEAE Aegopodium KEW",
    "BETULACEAE CAESIA ERECTA",
    "MICHAEL ISRAEL EUROPAEA",
    "RAE JUNCACEAE Acer TREES",
)
SIZES = ((24, 0.4), (36, 0.6), (48, 0.9), (60, 1.2))
"""Height of the letters in pixels, and blur."""
PRINTS = ((20, 0.4, 4.0), (36, 1.0, 8.0), (26, 0.8, 8.0), (48, 1.4, 10.0))
"""The same for typefaces, each in one of them, and noise; paper is 240, ink 40 of 255."""
TYPEFACES = (
    "FreeSans", "FreeSansBold", "FreeSansBoldOblique", "FreeSerifBold", "FreeSerifItalic",
    "FreeSerifBoldItalic", "FreeMonoOblique", "FreeMonoBoldOblique", "LiberationSans-BoldItalic",
    "LiberationSerif-BoldItalic", "LiberationMono-Bold", "LiberationMono-Italic",
)  # fmt: skip
"""None of those on which the thresholds of hpc/runner/imaging/ligature.py were set."""
LEAST = {"æ": 0.95, "ø": 0.95, "å": 0.95, "Ø": 0.95, "Å": 0.95, "Æ": 0.97}


@dataclass(frozen=True)
class Letters:
    """How many of each letter are on cards and were read; `made`: words it must not be in."""

    printed: Counter[str]
    kept: Counter[str]
    made: tuple[str, ...] = ()

    @property
    def shares(self) -> dict[str, float]:
        """Kept of each."""
        return {letter: self.kept[letter] / there for letter, there in self.printed.items()}

    def faults(self) -> list[str]:
        """What is not read as well as it has to be, a line each."""
        too_few = {letter: share for letter, share in self.shares.items() if share < LEAST[letter]}
        return [
            *(f"letters made up in {word}" for word in self.made),
            *(f"of {letter} {share:.1%} are kept" for letter, share in too_few.items()),
        ]


def danish(prints: Sequence[tuple[int, float]] = SIZES) -> Letters:
    """All Danish letters in those that the project ships, in these sizes, and Latin words."""
    printed, kept, made = Counter[str](), Counter[str](), []
    for size, blur in prints:
        read = Counter(read_card(shipped(DANISH, size), blur))
        for letter in LEAST:
            there = "".join(DANISH).count(letter)
            printed[letter] += there
            kept[letter] += min(read[letter], there)
        latin = read_card(shipped(LATIN, size), blur)
        made += [word for word in latin.split() if set(word) & set(LEAST)]
    return Letters(printed, kept, tuple(made))


def ligatures(name: str) -> Letters | None:
    """Capital Æ in a typeface, and Latin words; None where this machine has it not."""
    size, blur, noise = PRINTS[TYPEFACES.index(name) % len(PRINTS)]
    try:
        font = ImageFont.truetype(f"{name}.ttf", size)
    except OSError:
        return None
    lines = tuple(line for line in DANISH if "Æ" in line)
    there = "".join(lines).count("Æ")
    read = read_card(printed_in(font, lines), blur, noise).count("Æ")
    latin = read_card(printed_in(font, LATIN), blur, noise)
    made = [word for word in latin.split() if "Æ" in word] + ["Æ"] * (read - there)
    return Letters(Counter({"Æ": there}), Counter({"Æ": min(read, there)}), tuple(made))


def together(read: Sequence[Letters]) -> Letters:
    """Several as one."""
    printed = sum((each.printed for each in read), Counter[str]())
    kept = sum((each.kept for each in read), Counter[str]())
    return Letters(printed, kept, tuple(word for each in read for word in each.made))


def shipped(lines: tuple[str, ...], size: int) -> Image.Image:
    """A card printed in the project's own letters."""
    width = max(text_width(line, size) for line in lines)
    card = Image.new("RGB", (width + 2 * size, size * (2 * len(lines) + 1)), (245, 240, 225))
    for number, line in enumerate(lines):
        write(card, (size, size // 2 + 2 * size * number), line, size)
    return card


def printed_in(font: ImageFont.FreeTypeFont, lines: tuple[str, ...]) -> Image.Image:
    """A card printed in a typeface."""
    size, width = round(font.size), round(max(font.getlength(line) for line in lines))
    card = Image.new("RGB", (width + 2 * size, size * (2 * len(lines) + 1)), (245, 240, 225))
    draw = ImageDraw.Draw(card)
    for number, line in enumerate(lines):
        draw.text((size, size // 2 + 2 * size * number), line, (40, 36, 34), font)
    return card


def read_card(card: Image.Image, blur: float, noise: float = 0.0) -> str:
    """What is read on a card, photographed so."""
    sharp = np.asarray(card.filter(ImageFilter.GaussianBlur(blur)), dtype=float)
    grain = np.random.default_rng(7).normal(0.0, noise, sharp.shape[:2])
    shown = (sharp + grain[:, :, None]).clip(0, 255).astype(np.uint8)
    labels = read_labels(pyvips.Image.new_from_array(shown), 2)
    return "\n".join(line.text for label in labels for line in label.lines)
