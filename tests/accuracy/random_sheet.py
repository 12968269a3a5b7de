"""Random sheets as a real camera gives them: turned, blurred, noisy, with glare; truth known.

Smaller than a real sheet, so that sixty can be read in a minute or two; letters, bars and
ruler ticks are as large, in pixels, as on a real one.
"""

import math
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from demo.specimens import furniture
from demo.specimens.codes import Symbology, sticker
from demo.specimens.flora import gathering

Box = tuple[int, int, int, int]
SIZE = (1760, 2000)
HERBARIUM = "HERBARIUM HAUNIENSE (C)"
TABLES = ((58, 59, 62), (24, 26, 30), (96, 104, 112), (30, 44, 70))
PAPERS = ((238, 232, 215), (226, 214, 186), (246, 246, 242))


@dataclass(frozen=True)
class RandomSheet:
    """A sheet as photographed. Boxes are upright, in pixels of the photograph.

    `paper_size` is the paper's own, and `turned` by how many degrees it lies counter-clockwise.
    """

    image: Image.Image
    codes: frozenset[str]
    paper_box: Box
    paper_size: tuple[int, int]
    turned: float
    label_box: Box
    label_lines: tuple[str, ...]
    ppi: int


def random_sheet(seed: int) -> RandomSheet:
    """Sheet number `seed`, always the same."""
    chance = random.Random(seed)
    about = gathering(chance, seed)
    ppi = chance.choice((450, 600, 800))
    table = furniture.textured(SIZE, chance.choice(TABLES), seed)
    furniture.colour_chart(table, (60, 40), side=32)
    furniture.ruler(table, (640, 36), ppi, int(900 / (ppi / 25.4)))
    x, y = chance.randint(90, 150), chance.randint(220, 260)
    paper_box = (x, y, chance.randint(1480, 1520), chance.randint(1620, 1660))
    paper = furniture.textured(paper_box[2:], chance.choice(PAPERS), seed + 1)
    furniture.lay(table, paper, (x, y))
    _plant(table, (x + 60, y + 60), chance)
    label_box = furniture.label(table, (x + 190, y + 830), about, HERBARIUM)
    codes = _codes(table, (x + 40, y + 560), chance)
    turned = chance.uniform(-1.5, 1.5)
    return RandomSheet(
        image=_photographed(furniture.lit(table), turned, seed),
        codes=codes,
        paper_box=_turned(paper_box, turned),
        paper_size=paper_box[2:],
        turned=turned,
        label_box=_turned(label_box, turned),
        label_lines=(HERBARIUM, *about.lines()),
        ppi=ppi,
    )


def _plant(table: Image.Image, corner: tuple[int, int], chance: random.Random) -> None:
    """A stem with leaves, in place of the drawn plants, which take longer than all the rest."""
    pen = ImageDraw.Draw(table)
    x, y = corner[0] + 700, corner[1]
    pen.line((x, y, x + chance.randint(-80, 80), y + 700), fill=(74, 66, 40), width=12)
    for n in range(9):
        green = (chance.randint(50, 90), chance.randint(80, 120), 46)
        side = chance.choice((-1, 1))
        left, right = sorted((x, x + side * chance.randint(150, 400)))
        pen.ellipse((left, y + n * 75, right, y + n * 75 + chance.randint(40, 70)), fill=green)


def _codes(table: Image.Image, corner: tuple[int, int], chance: random.Random) -> frozenset[str]:
    """One or two stickers, side by side."""
    x, y = corner
    texts = []
    for _ in range(chance.choice((1, 1, 2))):
        text = f"NHMD-{chance.randint(0, 999_999):06}"
        symbology = chance.choice(list(Symbology))
        module = chance.choice((3, 4)) if symbology is Symbology.CODE_128 else chance.choice((4, 6))
        card = sticker(text, symbology, module=module)
        furniture.lay(table, card, (x, y))
        x += card.width + 60
        texts.append(text)
    return frozenset(texts)


def _photographed(image: Image.Image, turned: float, seed: int) -> Image.Image:
    """Turned, with the lens's blur, a lamp's glare and the sensor's noise."""
    chance, noise = random.Random(seed), np.random.default_rng(seed)
    edge = image.getpixel((2, image.height // 2))
    image = image.rotate(turned, Image.Resampling.BICUBIC, fillcolor=edge)
    image = image.filter(ImageFilter.GaussianBlur(chance.uniform(0.0, 1.3)))
    x, y = (np.arange(length, dtype=np.float32) for length in image.size)
    at = chance.uniform(0, image.width), chance.uniform(0, image.height)
    width = 2 * chance.uniform(150, 400) ** 2
    glare = np.exp(-((y - at[1]) ** 2) / width)[:, None] * np.exp(-((x - at[0]) ** 2) / width)
    pixels = np.asarray(image).astype(np.float32)
    pixels += glare[:, :, None] * np.float32(chance.uniform(0.0, 0.4)) * (255 - pixels)
    grain = noise.standard_normal((image.height, image.width, 1), dtype=np.float32)
    pixels += grain * np.float32(chance.uniform(1, 7))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _turned(box: Box, degrees: float) -> Box:
    """The upright box around `box` when the image is turned counter-clockwise about its middle."""
    angle = math.radians(degrees)
    middle = SIZE[0] / 2, SIZE[1] / 2
    xs, ys = [], []
    for x in (box[0], box[0] + box[2]):
        for y in (box[1], box[1] + box[3]):
            u, v = x - middle[0], y - middle[1]
            xs.append(middle[0] + u * math.cos(angle) + v * math.sin(angle))
            ys.append(middle[1] + v * math.cos(angle) - u * math.sin(angle))
    left, top = round(min(xs)), round(min(ys))
    return left, top, round(max(xs)) - left, round(max(ys)) - top


def iou(a: Box, b: Box) -> float:
    """The area both share over the area of either."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(0, across) * max(0, down)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def mistakes(true: str, read: str) -> int:
    """Letters to add, drop or replace to make `true` of `read`."""
    before = list(range(len(read) + 1))
    for i, wanted in enumerate(true, 1):
        now = [i]
        for j, seen in enumerate(read, 1):
            now.append(min(before[j] + 1, now[-1] + 1, before[j - 1] + (wanted != seen)))
        before = now
    return before[-1]
