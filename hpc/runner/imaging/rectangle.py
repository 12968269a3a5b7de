"""Upright boxes, and rectangles that may lie turned in their image, as a sheet does."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

Point = tuple[float, float]

MIRRORED = frozenset({2, 4, 5, 7})
LYING = frozenset({5, 6, 7, 8})
"""EXIF orientations whose pixels are stored with rows for columns."""


class Box(NamedTuple):
    """An upright box in pixels: its left top corner, its width and its height."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        return self.x + self.width

    @property
    def bottom(self) -> int:
        return self.y + self.height

    @property
    def centre(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2

    def pixels(self, margin: int = 0) -> tuple[slice, slice]:
        """Its rows and columns in an array, with a margin around them."""
        top, left = max(0, self.y - margin), max(0, self.x - margin)
        return slice(top, self.bottom + margin), slice(left, self.right + margin)

    def gaps(self, shape: Sequence[int]) -> tuple[int, int, int, int]:
        """How far left, top, right and bottom are from the edges of an array."""
        return self.x, self.y, shape[1] - self.right, shape[0] - self.bottom

    def scaled(self, by: float) -> "Box":
        """The same in an image `by` times as large, not under a pixel."""
        x, y, width, height = (round(value * by) for value in self)
        return Box(x, y, max(1, width), max(1, height))

    def clipped(self, width: int, height: int) -> "Box":
        """The part of it within a frame of that size, not under a pixel."""
        left, top = max(0, self.x), max(0, self.y)
        right, bottom = min(width, self.right), min(height, self.bottom)
        return Box(left, top, max(1, right - left), max(1, bottom - top))


def box_between(left: int, top: int, right: int, bottom: int) -> Box:
    """The box from its left top corner to its right bottom one."""
    return Box(left, top, right - left, bottom - top)


def box_around(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds them all."""
    return box_between(
        min(box.x for box in boxes),
        min(box.y for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


@dataclass(frozen=True)
class Rectangle:
    """Centre (x, y), width and height in pixels; turned clockwise by `angle` degrees."""

    x: float
    y: float
    width: float
    height: float
    angle: float

    def corners(self) -> list[Point]:
        """Clockwise from its own top left."""
        across, down = self.width / 2, self.height / 2
        signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        return [self._out(u * across, v * down) for u, v in signs]

    def box(self, width: int, height: int) -> Box:
        """The upright box around it, within a frame of that size."""
        xs, ys = zip(*self.corners(), strict=True)
        edges = (round(edge) for edge in (min(xs), min(ys), max(xs), max(ys)))
        return box_between(*edges).clipped(width, height)

    def around(self, box: Box) -> "Rectangle":
        """As large as it must be to hold `box` too; its sides keep their direction."""
        points = [self._in(x, y) for x in (box.x, box.right) for y in (box.y, box.bottom)]
        us, vs = zip(*points, strict=True)
        left, right = min(-self.width / 2, *us), max(self.width / 2, *us)
        top, bottom = min(-self.height / 2, *vs), max(self.height / 2, *vs)
        centre = self._out((left + right) / 2, (top + bottom) / 2)
        return Rectangle(*centre, right - left, bottom - top, self.angle)

    def scaled(self, by: float) -> "Rectangle":
        """The same in an image `by` times as large."""
        return Rectangle(self.x * by, self.y * by, self.width * by, self.height * by, self.angle)

    def stored(self, orientation: int, size: tuple[int, int]) -> "Rectangle":
        """The same among the pixels as a file holds them.

        That is before its EXIF `orientation` is applied. `size` is the upright image's.
        """
        right, bottom = size[0] - self.x, size[1] - self.y
        x, y = {
            1: (self.x, self.y),
            2: (right, self.y),
            3: (right, bottom),
            4: (self.x, bottom),
            5: (self.y, self.x),
            6: (self.y, right),
            7: (bottom, right),
            8: (bottom, self.x),
        }[orientation]
        angle = -self.angle if orientation in MIRRORED else self.angle
        sides = (self.width, self.height)
        return Rectangle(x, y, *(sides[::-1] if orientation in LYING else sides), angle)

    def _out(self, u: float, v: float) -> Point:
        """The point `u` along and `v` across from the centre, in the image."""
        sin, cos = math.sin(math.radians(self.angle)), math.cos(math.radians(self.angle))
        return self.x + u * cos - v * sin, self.y + u * sin + v * cos

    def _in(self, x: float, y: float) -> Point:
        """The image's point (x, y), along and across from the centre."""
        return replace(self, x=0.0, y=0.0, angle=-self.angle)._out(x - self.x, y - self.y)


def rectangle_through(corners: Sequence[Point], angle: float | None = None) -> Rectangle:
    """The rectangle nearest to four corners, clockwise from the top left.

    `angle` is its top side's unless given.
    """
    a, b, c, d = corners
    if angle is None:
        angle = math.degrees(math.atan2(b[1] - a[1], b[0] - a[0]))
    return Rectangle(
        x=sum(x for x, _ in corners) / 4,
        y=sum(y for _, y in corners) / 4,
        width=(math.dist(a, b) + math.dist(d, c)) / 2,
        height=(math.dist(a, d) + math.dist(b, c)) / 2,
        angle=angle,
    )
