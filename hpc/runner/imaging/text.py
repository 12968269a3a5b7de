"""Printed text in an image: find the labels on a small copy, then read each at full size.

RapidOCR with the models of its own wheel; nothing is downloaded. A label that reads badly,
or whose lines stand upright, is read again turned.
"""

import functools
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray
from rapidocr import RapidOCR

from hpc.runner.imaging.blocks import blocks
from hpc.runner.imaging.ligature import Ligatures
from hpc.runner.imaging.picture import as_grey, as_rgb, shrunk
from hpc.runner.imaging.rectangle import Box, box_around

LOOK_AT = 1600
"""Longer side, in pixels, of the copy on which labels are found."""
MAX_REGIONS = 12
MIN_LETTERS = 3
"""A label has a line as long as that; the numbers of a ruler have not."""
LOOK_AT_LABEL = 1600
"""Longer side, in pixels, of a label as it is read."""
MIN_SURE = 0.85
"""Mean confidence below which a label is tried the other way round."""
BETTER = 0.05


@dataclass(frozen=True)
class TextLine:
    """`box` is x, y, width, height in pixels of the image read; `confidence` 0 to 1."""

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
            "Global.max_side_len": max(LOOK_AT, LOOK_AT_LABEL),
            # As it comes, it enlarges the smallest scrap until its shorter side is 736.
            "Det.limit_type": "max",
            "Det.limit_side_len": max(LOOK_AT, LOOK_AT_LABEL),
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
        x, y = region.box[:2]
        for lines in read:
            if any(len(line.text) >= MIN_LETTERS for line in lines):
                placed = tuple(replace(line, box=_moved(line.box, x, y)) for line in lines)
                alone = len(read) == 1
                box = region.box if alone else box_around([line.box for line in placed])
                labels.append(Label(box, placed))
    return sorted(labels, key=lambda label: (label.box[1], label.box[0]))


def find_regions(image: pyvips.Image, threads: int) -> list[LabelRegion]:
    """Where text stands, in full-size pixels: the largest dozen at most."""
    small = shrunk(image, LOOK_AT)
    found = engine(threads)(_bgr(small), use_det=True, use_cls=False, use_rec=False)
    if found.boxes is None:
        return []
    scale = image.width / small.width
    strips = [_strip(quad, scale) for quad in found.boxes]
    regions = sorted(grouped(strips), key=lambda region: -region.box[2] * region.box[3])
    return [
        replace(region, box=_clipped(region.box, image.width, image.height))
        for region in regions[:MAX_REGIONS]
    ]


def grouped(strips: list[Strip]) -> list[LabelRegion]:
    """The labels that these lines belong to.

    Lines below each other and nearer than their height are one label, and so are words of a
    line. Beside each other, two thirds of that: there another label may begin.
    """
    groups = [([strip], _grown(strip)) for strip in strips]
    merged = True
    while merged:
        merged = False
        for i, (members, box) in enumerate(groups):
            near = [j for j in range(i + 1, len(groups)) if _touch(box, groups[j][1])]
            if near:
                joined = members + [strip for j in near for strip in groups[j][0]]
                around = box_around([box, *(groups[j][1] for j in near)])
                rest = [group for j, group in enumerate(groups) if j != i and j not in near]
                groups = [*rest, (joined, around)]
                merged = True
                break
    return [
        LabelRegion(box, 2 * sum(_stands(strip) for strip in strips) > len(strips))
        for strips, box in groups
    ]


def _read_best(part: pyvips.Image, upright_lines: bool, threads: int) -> list[list[TextLine]]:
    """The lines of each label of a region as it lies or, if that reads better, turned."""
    best: list[list[TextLine]] = []
    for turn in ("d90", "d270") if upright_lines else ("d0", "d180"):
        lines = _read_turned(part, turn, threads)
        if not best or _sureness(lines) > _sureness(best) + BETTER:
            best = lines
        if best and _sureness(best) >= MIN_SURE:
            break
    return best


def _read_turned(part: pyvips.Image, turn: str, threads: int) -> list[list[TextLine]]:
    """The lines of `part` turned clockwise, by label in reading order, with boxes as it lies."""
    shown = shrunk(part.rot(turn), LOOK_AT_LABEL)
    scale = max(part.width, part.height) / max(shown.width, shown.height)
    size = (part.width, part.height)
    lines = [
        TextLine(text, round(score, 3), _strip(quad, 1.0).box)
        for quad, text, score in _read(_bgr(shown), threads)
        if text.strip()
    ]
    if not lines:
        return []
    grey = as_grey(shown.colourspace("b-w"))
    return [
        [
            replace(line, box=_turned_back(_enlarged(line.box, scale), turn, size))
            for line in in_reading_order(block)
        ]
        for block in blocks(lines, lambda line: line.box, grey)
    ]


def _sureness(read: list[list[TextLine]]) -> float:
    lines = [line for label in read for line in label]
    length = sum(len(line.text) for line in lines)
    return sum(len(line.text) * line.confidence for line in lines) / length if length else 0.0


def in_reading_order(lines: list[TextLine]) -> list[TextLine]:
    """Rows from the top, in each row from the left. Same row: centres within half a line."""
    rows: list[list[TextLine]] = []
    for line in sorted(lines, key=lambda line: line.box[1] + line.box[3] / 2):
        centre = line.box[1] + line.box[3] / 2
        last = rows[-1][0] if rows else None
        if last and abs(centre - (last.box[1] + last.box[3] / 2)) < last.box[3] / 2:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.box[0])]


def _read(bgr: NDArray[np.uint8], threads: int) -> list[tuple[Any, str, float]]:
    """The corners, the text as it is printed, and the confidence of each line."""
    found = engine(threads)(bgr, use_det=True, use_cls=False, use_rec=True)
    if found.boxes is None:
        return []
    lines = zip(found.boxes, found.txts, found.scores, strict=True)
    return [(quad, as_printed(str(text)), float(score)) for quad, text, score in lines]


def _bgr(image: pyvips.Image) -> NDArray[np.uint8]:
    return np.ascontiguousarray(as_rgb(image)[:, :, ::-1])


def _strip(quad: Any, scale: float) -> Strip:
    """Four corners of a line in a copy, in pixels of the image; slanted lines are thin."""
    points = np.asarray(quad, dtype=float) * scale
    x, y = points.min(axis=0)
    right, bottom = points.max(axis=0)
    height = min(float(np.hypot(*(points[n + 1] - points[n]))) for n in (0, 1))
    box = (round(x), round(y), max(1, round(right - x)), max(1, round(bottom - y)))
    return Strip(box, max(1, round(height)))


def _stands(strip: Strip) -> bool:
    return strip.box[3] > 1.5 * strip.box[2]


def _grown(strip: Strip) -> Box:
    """A line's box with a margin, so that neighbours touch: a third of its height before and
    after it, three quarters above and below."""
    x, y, width, height = strip.box
    along, across = round(0.35 * strip.height), round(0.75 * strip.height)
    beside, above = (across, along) if _stands(strip) else (along, across)
    return x - beside, y - above, width + 2 * beside, height + 2 * above


def _enlarged(box: Box, scale: float) -> Box:
    x, y, width, height = (round(value * scale) for value in box)
    return x, y, max(1, width), max(1, height)


def _moved(box: Box, x: int, y: int) -> Box:
    return box[0] + x, box[1] + y, box[2], box[3]


def _turned_back(box: Box, turn: str, size: tuple[int, int]) -> Box:
    """A box of an image that was turned clockwise, in the image of `size` as it lay."""
    x, y, width, height = box
    across, down = size
    match turn:
        case "d90":
            return y, down - x - width, height, width
        case "d180":
            return across - x - width, down - y - height, width, height
        case "d270":
            return across - y - height, x, height, width
    return box


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def _clipped(box: Box, width: int, height: int) -> Box:
    left, top = max(0, box[0]), max(0, box[1])
    right, bottom = min(width, box[0] + box[2]), min(height, box[1] + box[3])
    return left, top, max(1, right - left), max(1, bottom - top)


NO_SPACE = re.compile(r"(?<=[^\W\d_]\.)(?=[A-ZÆØÅ][a-zæøå])")
"""The reader often drops the space of "Leg. K. Ølgaard"."""
EMPTY_SET = re.compile(r"(?<=[^\W\d_])∅|(?<!\w)∅(?=[^\W\d_])")
"""Beside a letter it is an O with a stroke: a capital one where a word begins."""


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
