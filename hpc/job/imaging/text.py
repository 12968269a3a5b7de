"""Printed text in an image: find the labels on a small copy, then read each at full size.

RapidOCR with the models of its own wheel; nothing is downloaded. Its alphabet holds
æ ø å Æ Ø Å, but capital Æ is commonly read as AE; only where that cannot be anything else
is it set right, since -ACEAE is how plant families end.
"""

import functools
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray
from rapidocr import RapidOCR

from hpc.job.imaging.picture import as_rgb, shrunk

LOOK_AT = 2000
"""Longer side, in pixels, of what the detector is shown; the recogniser's lines come from it."""
MOST_REGIONS = 12
LONE_AE = re.compile(r"\bAE(?=[a-zæøå])")
"""Latin writes Aesculus; AE before a small letter is a Danish Æ."""
Box = tuple[int, int, int, int]


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


@functools.cache
def engine(threads: int) -> Any:
    """The reader, loaded once a process (about a second), silent, on `threads` threads."""
    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.max_side_len": LOOK_AT,
            "EngineConfig.onnxruntime.intra_op_num_threads": threads,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def read_labels(image: pyvips.Image, threads: int = 1) -> list[Label]:
    """The labels of an sRGB image, top to bottom; an empty list when there is no text."""
    labels = []
    for region in find_regions(image, threads):
        x, y, width, height = region
        part = shrunk(image.crop(x, y, width, height), LOOK_AT)
        scale = width / part.width
        lines = [
            TextLine(danish_capitals(text), round(score, 3), _placed(quad, scale, x, y))
            for quad, text, score in _read(_bgr(part), threads)
        ]
        if lines:
            labels.append(Label(region, tuple(in_reading_order(lines))))
    return sorted(labels, key=lambda label: (label.box[1], label.box[0]))


def find_regions(image: pyvips.Image, threads: int) -> list[Box]:
    """Where text stands, as boxes in full-size pixels: the largest dozen at most."""
    small = shrunk(image, LOOK_AT)
    found = engine(threads)(_bgr(small), use_det=True, use_cls=False, use_rec=False)
    if found.boxes is None:
        return []
    scale = image.width / small.width
    boxes = [_placed(quad, scale, 0, 0) for quad in found.boxes]
    regions = sorted(grouped(boxes), key=lambda box: -box[2] * box[3])[:MOST_REGIONS]
    return [_clipped(box, image.width, image.height) for box in regions]


def grouped(boxes: list[Box]) -> list[Box]:
    """Lines of text nearer to each other than a line and a half are one label."""
    groups = [_grown(box) for box in boxes]
    merged = True
    while merged:
        merged = False
        for i, first in enumerate(groups):
            near = [j for j in range(i + 1, len(groups)) if _touch(first, groups[j])]
            if near:
                members = [first, *(groups[j] for j in near)]
                groups = [box for j, box in enumerate(groups) if j != i and j not in near]
                groups.append(_around(members))
                merged = True
                break
    return groups


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


def danish_capitals(text: str) -> str:
    """Ø in words of capitals, Æ before small letters: SøNDERSø is SØNDERSØ, AErø is Ærø.

    AE in words of capitals stays: it may be the end of a family's name.
    """
    return " ".join(LONE_AE.sub("Æ", _capital_o(word)) for word in text.split(" "))


def _capital_o(word: str) -> str:
    others = word.replace("ø", "")
    capitals = sum(letter.isupper() for letter in others)
    all_capital = capitals > 1 and not any(letter.islower() for letter in others)
    return word.replace("ø", "Ø") if all_capital else word


def _read(bgr: NDArray[np.uint8], threads: int) -> list[tuple[Any, str, float]]:
    found = engine(threads)(bgr, use_det=True, use_cls=True, use_rec=True)
    if found.boxes is None:
        return []
    return [
        (quad, str(text), float(score))
        for quad, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
    ]


def _bgr(image: pyvips.Image) -> NDArray[np.uint8]:
    return np.ascontiguousarray(as_rgb(image)[:, :, ::-1])


def _placed(quad: Any, scale: float, left: int, top: int) -> Box:
    """The upright box around four corners, in the coordinates of the whole image."""
    points = np.asarray(quad, dtype=float) * scale
    x, y = points.min(axis=0)
    right, bottom = points.max(axis=0)
    return round(left + x), round(top + y), max(1, round(right - x)), max(1, round(bottom - y))


def _grown(box: Box) -> Box:
    """A box with three quarters of a line around it, so that neighbours touch."""
    x, y, width, height = box
    margin = round(0.75 * min(width, height))
    return x - margin, y - margin, width + 2 * margin, height + 2 * margin


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def _around(boxes: list[Box]) -> Box:
    left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
    right = max(box[0] + box[2] for box in boxes)
    bottom = max(box[1] + box[3] for box in boxes)
    return left, top, right - left, bottom - top


def _clipped(box: Box, width: int, height: int) -> Box:
    left, top = max(0, box[0]), max(0, box[1])
    right, bottom = min(width, box[0] + box[2]), min(height, box[1] + box[3])
    return left, top, max(1, right - left), max(1, bottom - top)
