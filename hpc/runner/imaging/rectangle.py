"""A rectangle that may lie turned in its image: how a sheet is told and how it is cut out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

Box = tuple[int, int, int, int]
"""x, y, width, height in pixels."""
Point = tuple[float, float]

MIRRORED = frozenset({2, 4, 5, 7})
LYING = frozenset({5, 6, 7, 8})
"""EXIF orientations whose pixels are stored with rows for columns."""


@dataclass(frozen=True)
class Rectangle:
    """Centre (x, y), width and height in pixels; turned clockwise by `angle` degrees."""

    x: float
    y: float
    width: float
    height: float
    angle: float

    def corners(self) -> tuple[Point, Point, Point, Point]:
        """Clockwise from its own top left."""
        across, down = self.width / 2, self.height / 2
        signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
        first, second, third, fourth = (self._out(u * across, v * down) for u, v in signs)
        return first, second, third, fourth

    def box(self, width: int, height: int) -> Box:
        """The upright box around it, within a frame of that size."""
        xs, ys = zip(*self.corners(), strict=True)
        left, top = max(0, round(min(xs))), max(0, round(min(ys)))
        right, bottom = min(width, round(max(xs))), min(height, round(max(ys)))
        return left, top, max(1, right - left), max(1, bottom - top)

    def around(self, box: Box) -> "Rectangle":
        """As large as it must be to hold `box` too; its sides keep their direction."""
        x, y, width, height = box
        points = [self._in(a, b) for a in (x, x + width) for b in (y, y + height)]
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


def box_around(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds them all."""
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right = max(box[0] + box[2] for box in boxes)
    bottom = max(box[1] + box[3] for box in boxes)
    return left, top, right - left, bottom - top


def upright(box: Box) -> Rectangle:
    """A box as a rectangle that is not turned."""
    x, y, width, height = box
    return Rectangle(x + width / 2, y + height / 2, width, height, 0.0)
