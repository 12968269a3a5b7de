"""Printed text in an image: find the labels on a small copy, then read each at full size.

RapidOCR with the models of its own wheel; nothing is downloaded. A label that reads badly,
or whose lines stand upright, is read again turned.
"""

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray
from rapidocr import RapidOCR

from hpc.runner.imaging.blocks import blocks
from hpc.runner.imaging.ligature import Ligatures
from hpc.runner.imaging.picture import as_grey, shrunk
from hpc.runner.imaging.rectangle import Box, box_around

COPY_SIDE = 1600
"""Longer side, in pixels, of the copy on which labels are found, and of a label as it is read."""
MAX_REGIONS = 12
MIN_LETTERS = 3
"""A label has a line as long as that; the numbers of a ruler have not."""
MIN_CONFIDENCE = 0.85
"""Mean confidence below which a label is tried the other way round."""
MIN_GAIN = 0.05
"""In confidence, of a label that counts as read turned."""


@dataclass(frozen=True)
class TextLine:
    """`box` is in pixels of the image read; `confidence` 0 to 1."""

    text: str
    confidence: float
    box: Box


@dataclass(frozen=True)
class Label:
    """A region dense with text, its lines in reading order."""

    box: Box
    lines: tuple[TextLine, ...]


@dataclass(frozen=True)
class Strip:
    """Where a line of text is: the upright box around it, and how high its letters are."""

    box: Box
    height: int


@dataclass(frozen=True)
class LabelRegion:
    """Where a label is; `upright_lines`: most of its lines run up or down."""

    box: Box
    upright_lines: bool


@functools.cache
def engine(threads: int) -> Any:
    """The reader, loaded once a process (about a second), silent, on `threads` threads."""
    reader: Any = RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.max_side_len": COPY_SIDE,
            # As it comes, it enlarges the smallest scrap until its shorter side is 736.
            "Det.limit_type": "max",
            "Det.limit_side_len": COPY_SIDE,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
    # What reads lines is loaded when it is first needed.
    reader(np.full((48, 48, 3), 255, np.uint8), use_det=False, use_cls=False, use_rec=True)
    reader.text_rec.postprocess_op = Ligatures(reader.text_rec.postprocess_op)
    return reader


def read_labels(image: pyvips.Image, threads: int = 1) -> list[Label]:
    """The labels of an sRGB image, top to bottom; an empty list when there is no text."""
    labels = []
    for region in find_regions(image, threads):
        read = _read_best(image.crop(*region.box), region.upright_lines, threads)
        for lines in read:
            if any(len(line.text) >= MIN_LETTERS for line in lines):
                placed = tuple(replace(line, box=_moved(line.box, region.box)) for line in lines)
                alone = len(read) == 1
                box = region.box if alone else box_around([line.box for line in placed])
                labels.append(Label(box, placed))
    return sorted(labels, key=lambda label: (label.box.y, label.box.x))


def find_regions(image: pyvips.Image, threads: int) -> list[LabelRegion]:
    """Where text stands, in full-size pixels: the largest dozen at most."""
    small = shrunk(image, COPY_SIDE)
    found = engine(threads)(_bgr(small), use_det=True, use_cls=False, use_rec=False)
    if found.boxes is None:
        return []
    scale = image.width / small.width
    strips = [_strip(quad, scale) for quad in found.boxes]
    regions = sorted(grouped(strips), key=lambda region: -region.box.width * region.box.height)
    return [
        replace(region, box=region.box.clipped(image.width, image.height))
        for region in regions[:MAX_REGIONS]
    ]


def grouped(strips: list[Strip]) -> list[LabelRegion]:
    """The labels that these lines belong to.

    Lines below each other and nearer than their height are one label, and so are words of a
    line. Side by side, two thirds of that: there another label may begin.
    """
    groups: list[tuple[list[Strip], Box]] = []
    for strip in strips:
        members, box = [strip], _grown(strip)
        while near := [group for group in groups if _touch(box, group[1])]:
            members = [*members, *(other for strips, _ in near for other in strips)]
            box = box_around([box, *(around for _, around in near)])
            groups = [group for group in groups if group not in near]
        groups.append((members, box))
    return [
        LabelRegion(box, 2 * sum(_stands(strip) for strip in members) > len(members))
        for members, box in groups
    ]


def _read_best(part: pyvips.Image, upright_lines: bool, threads: int) -> list[list[TextLine]]:
    """The lines of each label of a region as it lies or, if that reads better, turned."""
    best: list[list[TextLine]] = []
    confidence = 0.0
    for turn in ("d90", "d270") if upright_lines else ("d0", "d180"):
        labels = _read_turned(part, turn, threads)
        found = mean_confidence(line for lines in labels for line in lines)
        if not best or found > confidence + MIN_GAIN:
            best, confidence = labels, found
        if best and confidence >= MIN_CONFIDENCE:
            break
    return best


def _read_turned(part: pyvips.Image, turn: str, threads: int) -> list[list[TextLine]]:
    """The lines of `part` turned clockwise, by label in reading order, with boxes as it lies."""
    shown = shrunk(part.rot(turn), COPY_SIDE)
    scale = max(part.width, part.height) / max(shown.width, shown.height)
    size = (part.width, part.height)
    lines = [
        TextLine(text, round(score, 3), _strip(quad, 1.0).box)
        for quad, text, score in _read(_bgr(shown), threads)
        if text.strip()
    ]
    if not lines:
        return []
    return [
        [
            replace(line, box=_turned_back(line.box.scaled(scale), turn, size))
            for line in in_reading_order(block)
        ]
        for block in blocks(lines, lambda line: line.box, as_grey(shown.colourspace("b-w")))
    ]


def mean_confidence(lines: Iterable[TextLine]) -> float:
    """Over all characters, so that one short doubtful line weighs little; 0 without text."""
    weighed = [(len(line.text), line.confidence) for line in lines]
    length = sum(letters for letters, _ in weighed)
    return sum(letters * value for letters, value in weighed) / length if length else 0.0


def in_reading_order(lines: list[TextLine]) -> list[TextLine]:
    """Rows from the top, in each row from the left. Same row: centres within half a line."""
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: line.box.centre[1]):
        box = rows[-1][0].box if rows else None
        if box and abs(line.box.centre[1] - box.centre[1]) < box.height / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.box.x)]


def _read(bgr: NDArray[np.uint8], threads: int) -> list[tuple[Any, str, float]]:
    """The corners, the text as it is printed, and the confidence of each line."""
    found = engine(threads)(bgr, use_det=True, use_cls=False, use_rec=True)
    if found.boxes is None:
        return []
    lines = zip(found.boxes, found.txts, found.scores, strict=True)
    return [(quad, as_printed(str(text)), float(score)) for quad, text, score in lines]


def _bgr(image: pyvips.Image) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image.numpy()[:, :, ::-1])


def _strip(quad: Any, scale: float) -> Strip:
    """Four corners of a line in a copy, in pixels of the image; slanted lines are thin."""
    points = np.asarray(quad, dtype=float) * scale
    x, y = points.min(axis=0)
    right, bottom = points.max(axis=0)
    height = min(float(np.hypot(*(points[n + 1] - points[n]))) for n in (0, 1))
    box = Box(round(x), round(y), max(1, round(right - x)), max(1, round(bottom - y)))
    return Strip(box, max(1, round(height)))


def _stands(strip: Strip) -> bool:
    return strip.box.height > 1.5 * strip.box.width


def _grown(strip: Strip) -> Box:
    """A line's box with a margin, so that neighbours touch: a third of its height before and
    after it, three quarters above and below."""
    x, y, width, height = strip.box
    along, across = round(0.35 * strip.height), round(0.75 * strip.height)
    left, above = (across, along) if _stands(strip) else (along, across)
    return Box(x - left, y - above, width + 2 * left, height + 2 * above)


def _moved(box: Box, part: Box) -> Box:
    """A box of a part of an image, in the image."""
    return box._replace(x=box.x + part.x, y=box.y + part.y)


def _turned_back(box: Box, turn: str, size: tuple[int, int]) -> Box:
    """A box of an image that was turned clockwise, in the image of `size` as it lay."""
    width, height = size
    match turn:
        case "d90":
            return Box(box.y, height - box.right, box.height, box.width)
        case "d180":
            return Box(width - box.right, height - box.bottom, box.width, box.height)
        case "d270":
            return Box(width - box.bottom, box.x, box.height, box.width)
    return box


def _touch(a: Box, b: Box) -> bool:
    return a.x < b.right and b.x < a.right and a.y < b.bottom and b.y < a.bottom


NO_SPACE = re.compile(r"(?<=[^\W\d_]\.)(?=[A-ZÆØÅ][a-zæøå])")
"""The reader often drops the space of "Leg. K. Ølgaard"."""
EMPTY_SET = re.compile(r"(?<=[^\W\d_])∅|(?<!\w)∅(?=[^\W\d_])")
"""Next to a letter it is an O with a stroke: a capital one where a word begins."""


def as_printed(text: str) -> str:
    """A line as it stands on the label: Danish capitals, and lost spaces."""
    return NO_SPACE.sub(" ", danish_capitals(EMPTY_SET.sub(_stroked_o, text)))


def _stroked_o(found: re.Match[str]) -> str:
    before = found.string[: found.start()]
    return "ø" if before and before[-1].isalpha() else "Ø"


def danish_capitals(text: str) -> str:
    """Ø in words of capitals: SøNDERSø is SØNDERSØ."""
    return " ".join(_capitals(word) for word in text.split(" "))


def _capitals(word: str) -> str:
    others = word.replace("ø", "")
    if sum(letter.isupper() for letter in others) < 2 or any(map(str.islower, others)):
        return word
    return word.replace("ø", "Ø")
