"""What lies on a copy stand with the plant: paper, ruler, colour chart, label and stamp.

Sizes are pixels unless a name says otherwise; boxes are (x, y, width, height).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from demo.specimens.flora import Gathering
from demo.specimens.lettering import text_mask, text_width, write

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

MM_PER_INCH = 25.4

PATCHES: tuple[Colour, ...] = (
    *((115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177)),
    *((103, 189, 170), (214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108)),
    *((157, 188, 64), (224, 163, 46), (56, 61, 150), (70, 148, 73), (175, 54, 60)),
    *((231, 199, 31), (187, 86, 149), (8, 133, 161), (243, 243, 242), (200, 200, 200)),
    *((160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52)),
)
"""Twenty-four patches in the customary order: natural, saturated, and six greys (sRGB)."""


@dataclass(frozen=True, slots=True)
class DrawnRuler:
    """A ruler on a sheet: `length_mm` reach from the first tick to the last one."""

    box: Box
    length_mm: int
    zero: tuple[int, int]
    pixels_per_mm: float


@lru_cache(maxsize=2)
def _grain(seed: int, side: int = 512) -> Image.Image:
    """Fine noise around 128, as a tile."""
    noise = np.random.default_rng(seed).normal(128, 2.0, (side, side, 3))
    return Image.fromarray(noise.clip(0, 255).astype(np.uint8))


def textured(size: tuple[int, int], colour: Colour, seed: int) -> Image.Image:
    """A surface of `colour` with a fine grain."""
    tile = np.asarray(_grain(seed)).astype(np.int16) - 128 + np.array(colour, dtype=np.int16)
    across, down = -(-size[0] // tile.shape[1]), -(-size[1] // tile.shape[0])
    whole = np.tile(tile.clip(0, 255).astype(np.uint8), (down, across, 1))
    return Image.fromarray(whole[: size[1], : size[0]])


def lit(image: Image.Image) -> Image.Image:
    """`image` as two lamps light it: a little darker towards the corners."""
    y, x = np.mgrid[-1:1:96j, -1:1:64j]
    fall_off = 255 - 15 * (x**2 + y**2) / 2
    lamp = Image.fromarray(fall_off.astype(np.uint8)).resize(image.size, Image.Resampling.BILINEAR)
    return ImageChops.multiply(image, Image.merge("RGB", (lamp, lamp, lamp)))


def lay(table: Image.Image, card: Image.Image, corner: tuple[int, int]) -> Box:
    """Put `card` on `table` with a soft shadow below it; its box."""
    shadow = Image.new("L", (card.width // 4 + 24, card.height // 4 + 24), 0)
    ImageDraw.Draw(shadow).rectangle((12, 12, shadow.width - 13, shadow.height - 13), fill=120)
    soft = shadow.filter(ImageFilter.BoxBlur(4)).resize((card.width + 96, card.height + 96))
    table.paste((16, 15, 14), (corner[0] - 40, corner[1] - 38), soft)
    table.paste(card, corner)
    return (*corner, card.width, card.height)


def ruler(table: Image.Image, corner: tuple[int, int], ppi: int, length_mm: int) -> DrawnRuler:
    """Lay a ruler with millimetre ticks on `table`; every tenth is numbered in centimetres."""
    per_mm = ppi / MM_PER_INCH
    margin, height = 46, 150
    card = Image.new("RGB", (round(length_mm * per_mm) + 2 * margin, height), (246, 246, 243))
    draw = ImageDraw.Draw(card)
    for mm in range(length_mm + 1):
        x = margin + round(mm * per_mm)
        reach = 62 if mm % 10 == 0 else 46 if mm % 5 == 0 else 32
        draw.rectangle((x - 1, 0, x + 1, reach), fill=(20, 20, 20))
        if mm % 10 == 0:
            text = str(mm // 10)
            write(card, (x - text_width(text, 40) // 2, 64), text, 40)
    write(card, (margin + 8, 112), "cm", 28)
    box = lay(table, card, corner)
    return DrawnRuler(box, length_mm, (corner[0] + margin, corner[1]), per_mm)


def colour_chart(table: Image.Image, corner: tuple[int, int], side: int = 84) -> tuple[Box, ...]:
    """Lay a chart of 24 patches (two rows of twelve) on `table`; the box of each patch."""
    gap = 10
    card = Image.new("RGB", (12 * (side + gap) + gap, 2 * (side + gap) + gap), (28, 28, 28))
    boxes = []
    for n, colour in enumerate(PATCHES):
        x, y = gap + (n % 12) * (side + gap), gap + (n // 12) * (side + gap)
        card.paste(colour, (x, y, x + side, y + side))
        boxes.append((corner[0] + x, corner[1] + y, side, side))
    lay(table, card, corner)
    return tuple(boxes)


def label(table: Image.Image, corner: tuple[int, int], gathering: Gathering, herbarium: str) -> Box:
    """Lay the printed label of `gathering` on `table`."""
    card = Image.new("RGB", (1260, 760), (251, 248, 238))
    draw = ImageDraw.Draw(card)
    draw.rectangle((18, 18, card.width - 19, card.height - 19), outline=(60, 52, 44), width=4)
    write(card, ((card.width - text_width(herbarium, 50)) // 2, 40), herbarium, 50)
    draw.line((60, 116, card.width - 61, 116), fill=(60, 52, 44), width=3)
    y = 132
    for n, line in enumerate(gathering.lines()):
        size = 62 if n == 1 else 48
        y += 8 if n in (1, 3, 6) else 0
        write(card, (54, y), line, size, italic=n == 1)
        y += round(size * 1.4)
    return lay(table, card, corner)


def stamp(paper: Image.Image, centre: tuple[int, int], text: str) -> None:
    """Stamp `text` in violet ink inside an oval."""
    words = text_mask(text, 38)
    ink = Image.new("L", (words.width + 110, words.height + 90), 0)
    draw = ImageDraw.Draw(ink)
    draw.ellipse((4, 4, ink.width - 5, ink.height - 5), outline=200, width=6)
    draw.ellipse((20, 20, ink.width - 21, ink.height - 21), outline=160, width=3)
    ink.paste(words.point(lambda v: v * 4 // 5), (60, 42))
    worn = ink.rotate(9, Image.Resampling.BILINEAR, expand=True)
    paper.paste((86, 66, 128), (centre[0] - worn.width // 2, centre[1] - worn.height // 2), worn)


def straps(sheet: Image.Image, cover: Image.Image, corner: tuple[int, int]) -> None:
    """Glue paper straps across the main stem of the plant whose silhouette is `cover`."""
    strip = Image.new("RGBA", (190, 30), (238, 231, 212, 255))
    ImageDraw.Draw(strip).line((0, 29, 189, 29), fill=(170, 160, 138, 255), width=3)
    foot = cover.width // 2
    for part, lean in ((0.36, 14), (0.62, -11), (0.86, 7)):
        y = round(cover.height * part)
        row = np.flatnonzero(np.asarray(cover.crop((0, y, cover.width, y + 1)))[0] > 128)
        if not row.size:
            continue
        turned = strip.rotate(lean, Image.Resampling.BILINEAR, expand=True)
        x = int(row[np.abs(row - foot).argmin()])
        place = (corner[0] + x - turned.width // 2, corner[1] + y - turned.height // 2)
        sheet.paste(turned, place, turned)
