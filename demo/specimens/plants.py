"""Pressed plants, grown by rule from a seed.

Points are complex numbers in pixels, y downwards, so that a direction is one multiplication.
"""

import cmath
import math
import random
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFilter

from demo.specimens.flora import Habit, Species
from demo.specimens.furniture import Colour

UP = complex(0, -1)
DRIED_GREENS: tuple[Colour, ...] = ((98, 102, 56), (112, 108, 62), (88, 96, 58), (122, 112, 70))
STEM: Colour = (104, 84, 52)
ROOT: Colour = (124, 98, 66)


class Pressed:
    """A plant on its way onto the paper: its colours, and where it covers the sheet."""

    def __init__(self, size: tuple[int, int], chance: random.Random) -> None:
        self.colours = Image.new("RGB", size, STEM)
        self.cover = Image.new("L", size, 0)
        self.chance = chance
        self.green = chance.choice(DRIED_GREENS)
        self._paint = ImageDraw.Draw(self.colours)
        self._mask = ImageDraw.Draw(self.cover)

    def area(self, points: list[complex], colour: Colour) -> None:
        """Fill the outline `points`."""
        outline = [(p.real, p.imag) for p in points]
        self._paint.polygon(outline, fill=colour)
        self._mask.polygon(outline, fill=255)

    def line(self, points: list[complex], colour: Colour, width: float) -> None:
        """Draw a stem, vein or root through `points`."""
        path = [(p.real, p.imag) for p in points]
        self._paint.line(path, fill=colour, width=max(1, round(width)), joint="curve")
        self._mask.line(path, fill=255, width=max(1, round(width)), joint="curve")

    def disc(self, at: complex, radius: float, colour: Colour) -> None:
        """A berry, a bud or the eye of a flower."""
        box = (at.real - radius, at.imag - radius, at.real + radius, at.imag + radius)
        self._paint.ellipse(box, fill=colour)
        self._mask.ellipse(box, fill=255)

    def tint(self, spread: int = 14) -> Colour:
        """This plant's green, a little different for every leaf."""
        return shade(self.green, self.chance.randint(-spread, spread))

    def lay_on(self, sheet: Image.Image, corner: tuple[int, int]) -> tuple[int, int, int, int]:
        """Paste the plant with its soft shadow; its bounding box on `sheet` (x, y, w, h)."""
        bounds = self.cover.getbbox()
        if bounds is None:
            raise ValueError("nothing has been drawn, so there is no plant to lay on the sheet")
        colours = self.colours.crop(bounds).filter(ImageFilter.BoxBlur(1))
        cover = self.cover.crop(bounds).filter(ImageFilter.BoxBlur(1))
        x, y = corner[0] + bounds[0], corner[1] + bounds[1]
        shadow = cover.reduce(4).filter(ImageFilter.BoxBlur(3)).resize(cover.size)
        sheet.paste((70, 60, 44), (x + 10, y + 12), shadow.point(lambda v: v * 2 // 5))
        sheet.paste(colours, (x, y), cover)
        return x, y, cover.width, cover.height


def shade(colour: Colour, by: int) -> Colour:
    """`colour`, lighter or darker by `by` steps of 255."""
    red, green, blue = (max(0, min(255, channel + by)) for channel in colour)
    return red, green, blue


def press(species: Species, size: tuple[int, int], chance: random.Random) -> Pressed:
    """A plant of `species` that fills most of `size` (width, height in pixels)."""
    plant = Pressed(size, chance)
    _GROWTH[species.habit](plant, species, complex(size[0] / 2, size[1] * 0.95), size[1] * 0.9)
    return plant


def leaf(
    plant: Pressed, at: complex, towards: complex, length: float, width: float, widest: float = 0.42
) -> None:
    """A leaf from `at` towards the unit vector: two halves, a midrib, and veins if it is large."""
    colour = plant.tint()
    bend = plant.chance.uniform(-0.14, 0.14) * length
    side = towards * 1j
    swell = math.log(0.5) / math.log(widest)
    steps = [i / 18 for i in range(19)]
    axis = [at + towards * length * t + side * bend * 4 * t * (1 - t) * 0.5 for t in steps]
    half = [width / 2 * math.sin(math.pi * t**swell) for t in steps]
    left = [p + side * h for p, h in zip(axis, half, strict=True)]
    right = [p - side * h for p, h in zip(axis, half, strict=True)]
    plant.area(left + axis[::-1], colour)
    plant.area(right + axis[::-1], shade(colour, -11))
    rib = shade(colour, 26)
    if width > 50:
        for i in range(3, 16, 2):
            for edge in (left, right):
                tip = axis[i + 2] + (edge[i + 2] - axis[i + 2]) * 0.86
                plant.line([axis[i], tip], shade(colour, 12), 2)
    plant.line(axis, rib, max(2, width / 28))


def curve(start: complex, towards: complex, length: float, bend: float) -> list[complex]:
    """A slightly bent line of 25 points; `bend` is its sideways reach as a part of `length`."""
    side = towards * 1j
    return [
        start + towards * length * t + side * bend * length * t * t
        for t in (i / 24 for i in range(25))
    ]


def turned(direction: complex, degrees: float) -> complex:
    """`direction` turned clockwise as seen on the sheet."""
    return direction * cmath.rect(1, math.radians(degrees))


def _heading(path: list[complex], i: int) -> complex:
    step = path[min(i + 1, len(path) - 1)] - path[max(i - 1, 0)]
    return step / abs(step)


def _roots(plant: Pressed, at: complex, reach: float) -> None:
    for _ in range(26):
        towards = turned(-UP, plant.chance.uniform(-70, 70))
        length = reach * plant.chance.uniform(0.4, 1.0)
        plant.line(curve(at, towards, length, plant.chance.uniform(-0.4, 0.4)), ROOT, 4)


def _flower(plant: Pressed, at: complex, radius: float, colour: Colour) -> None:
    for petal in range(5):
        towards = turned(UP, petal * 72 + plant.chance.uniform(-14, 14))
        centre = at + towards * radius * 0.6
        plant.disc(centre, radius * 0.5, shade(colour, plant.chance.randint(-16, 16)))
    plant.disc(at, radius * 0.28, shade(colour, -48))


def _branched(plant: Pressed, species: Species, foot: complex, height: float) -> None:
    trunk = curve(foot, turned(UP, -4), height * 0.92, plant.chance.uniform(-0.06, 0.06))
    plant.line(trunk, STEM, 22)
    plant.line(trunk[12:], shade(STEM, 8), 14)
    for i in range(3, 24, 2):
        side = 1 if i % 4 == 1 else -1
        towards = turned(_heading(trunk, i), side * plant.chance.uniform(38, 58))
        _twig(plant, species, trunk[i], towards, height * (0.40 - 0.012 * i))
    leaf(plant, trunk[-1], _heading(trunk, 24), height * 0.09, height * 0.055)


def _twig(plant: Pressed, species: Species, at: complex, towards: complex, length: float) -> None:
    path = curve(at, towards, length, plant.chance.uniform(-0.14, 0.14))
    plant.line(path, shade(STEM, 10), 8)
    for i in range(4, 25, 3):
        side = 1 if i % 2 else -1
        aside = turned(_heading(path, i), side * plant.chance.uniform(30, 62))
        stalk = path[i] + aside * 26
        plant.line([path[i], stalk], shade(STEM, 14), 5)
        size = plant.chance.uniform(150, 205)
        leaf(plant, stalk, aside, size, size * 0.58, 0.38)
        if species.flower and plant.chance.random() < 0.4:
            plant.disc(
                path[i] - aside * 34, 22, shade(species.flower, plant.chance.randint(-14, 14))
            )


def _frond(plant: Pressed, species: Species, foot: complex, height: float) -> None:
    _roots(plant, foot, height * 0.05)
    for lean, part in ((-15, 0.98), (19, 0.82)):
        rachis = curve(foot, turned(UP, lean), height * part, -0.12 if lean > 0 else 0.12)
        plant.line(rachis, shade(STEM, -6), 13)
        for n in range(23):
            t = 0.16 + 0.82 * n / 22
            i = round(t * 24)
            reach = height * 0.22 * math.sin(math.pi * min(1.0, (1.04 - t) ** 0.75)) + 24
            for side in (1, -1):
                at = rachis[i] + (rachis[min(i + 1, 24)] - rachis[i]) * (t * 24 - int(t * 24))
                _pinna(plant, at, turned(_heading(rachis, i), side * 66), reach * part)


def _pinna(plant: Pressed, at: complex, towards: complex, length: float) -> None:
    path = curve(at, towards, length, plant.chance.uniform(-0.08, 0.08))
    plant.line(path, shade(plant.green, -18), 4)
    for i in range(2, 25, 2):
        for side in (1, -1):
            size = length * 0.13 * (1 - (i / 27) ** 1.6) + 8
            leaf(plant, path[i], turned(_heading(path, i), side * 62), size, size * 0.55, 0.5)


def _grass(plant: Pressed, species: Species, foot: complex, height: float) -> None:
    _roots(plant, foot, height * 0.06)
    for _ in range(30):
        towards = turned(UP, plant.chance.gauss(0, 13))
        length = height * plant.chance.uniform(0.35, 0.66)
        leaf(plant, foot + plant.chance.uniform(-70, 70), towards, length, 24, 0.3)
    for n in range(5):
        towards = turned(UP, (n - 2) * 6 + plant.chance.uniform(-2, 2))
        culm = curve(foot + (n - 2) * 26, towards, height * (0.95 - 0.06 * abs(n - 2)), 0.04)
        plant.line(culm, shade(plant.green, 18), 8)
        for i in range(15, 25):
            for side in (1, -1):
                _spikelets(plant, culm[i], turned(_heading(culm, i), side * 44), 24 - i)


def _spikelets(plant: Pressed, at: complex, towards: complex, below_top: int) -> None:
    branch = curve(at, towards, 70 + below_top * 18, plant.chance.uniform(-0.2, 0.2))
    plant.line(branch, shade(plant.green, 26), 3)
    for i in range(8, 25, 3):
        for side in (1, -1):
            leaf(plant, branch[i], turned(_heading(branch, i), side * 26), 34, 12, 0.4)


def _herb(plant: Pressed, species: Species, foot: complex, height: float) -> None:
    _roots(plant, foot, height * 0.05)
    stem = curve(foot, turned(UP, 3), height * 0.94, plant.chance.uniform(-0.07, 0.07))
    plant.line(stem, shade(STEM, 6), 18)
    for i in range(3, 20, 2):
        for side in (1, -1):
            towards = turned(_heading(stem, i), side * plant.chance.uniform(48, 66))
            size = height * (0.24 - 0.007 * i) * plant.chance.uniform(0.85, 1.1)
            leaf(plant, stem[i], towards, size, size * 0.28, 0.36)
    for i in range(14, 25):
        for side in (1, -1):
            towards = turned(_heading(stem, i), side * plant.chance.uniform(24, 50))
            stalk = curve(stem[i], towards, height * (0.16 - 0.005 * i), side * 0.1)
            plant.line(stalk, shade(STEM, 12), 6)
            if species.flower:
                _flower(plant, stalk[-1], 44, species.flower)


def _rosette(plant: Pressed, species: Species, foot: complex, height: float) -> None:
    _roots(plant, foot, height * 0.06)
    for n in range(13):
        towards = turned(UP, -84 + n * 14 + plant.chance.uniform(-5, 5))
        size = height * plant.chance.uniform(0.30, 0.44)
        leaf(plant, foot, towards, size, size * (0.32 if species.flower else 0.17), 0.6)
    for n in range(5):
        towards = turned(UP, (n - 2) * 10 + plant.chance.uniform(-3, 3))
        scape = curve(foot, towards, height * plant.chance.uniform(0.7, 0.94), 0.03 * (n - 2))
        plant.line(scape, shade(plant.green, 16), 11)
        if species.flower:
            _umbel(plant, scape, species.flower)
        else:
            leaf(plant, scape[-3], _heading(scape, 23), height * 0.075, 58, 0.5)


def _umbel(plant: Pressed, scape: list[complex], colour: Colour) -> None:
    for turn in (-74, -46, -18, 10, 38, 66):
        towards = turned(_heading(scape, 23), turn)
        stalk = curve(scape[-1], towards, plant.chance.uniform(90, 150), 0.12)
        plant.line(stalk, shade(plant.green, 22), 7)
        leaf(plant, stalk[12], _heading(stalk, 20), 90, 36, 0.5)
        _flower(plant, stalk[-1] + towards * 20, 38, colour)


_GROWTH: dict[Habit, Callable[[Pressed, Species, complex, float], None]] = {
    Habit.BRANCHED: _branched,
    Habit.FROND: _frond,
    Habit.GRASS: _grass,
    Habit.HERB: _herb,
    Habit.ROSETTE: _rosette,
}
