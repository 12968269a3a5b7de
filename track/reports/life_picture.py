"""What was seen on a specimen's picture, as boxes in pixels of the upright original."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from track.reports.life import SpecimenLife

KINDS = {
    "code": "Codes",
    "label": "Labels and their text",
    "sheet": "Sheet or specimen",
    "item": "Chart and ruler",
}


@dataclass(frozen=True)
class SeenBox:
    """One box: x, y, width and height; `kind` is one of KINDS, `points` its corners if it is
    turned."""

    kind: str
    text: str
    x: float
    y: float
    width: float
    height: float
    points: str = ""


@dataclass(frozen=True)
class SeenPicture:
    """The size of the picture that the boxes are of, and the boxes."""

    width: int
    height: int
    boxes: tuple[SeenBox, ...]


def seen_on(life: SpecimenLife) -> SeenPicture | None:
    """All that modules saw; None where none has said how large the picture is.

    What is no box is left out: it was written by whoever ran the stage.
    """
    details = [stage.job.details for stage in life.stages if isinstance(stage.job.details, dict)]
    size = next((found for each in details if (found := _numbers(each.get("size"), 2))), None)
    if size is None or min(size) < 1:
        return None
    boxes = [
        *(box for each in details for box in _of_details(each)),
        *(_box("code", each.get("box"), _text(each)) for each in _mappings(life.codes)),
    ]
    shown = tuple(box for box in boxes if box is not None)
    return SeenPicture(int(size[0]), int(size[1]), shown)


def _of_details(details: Mapping[str, Any]) -> Iterator[SeenBox | None]:
    yield _sheet(details)
    for each in _mappings(details.get("beside")):
        yield _box("item", each.get("box"), str(each.get("kind", "")))
    for label in _mappings(details.get("labels")):
        lines = " ".join(str(line.get("text", "")) for line in _mappings(label.get("lines")))
        yield _box("label", label.get("box"), lines)
    for each in _mappings(details.get("cut")):
        yield _box("code", each.get("box"), f"{each.get('text', '')} (cut by the edge)")


def _sheet(details: Mapping[str, Any]) -> SeenBox | None:
    box = _box("sheet", details.get("box"), str(details.get("what") or "sheet"))
    corners = details.get("corners")
    if box is None or not isinstance(corners, list):
        return box
    points = [_numbers(each, 2) for each in corners]
    written = " ".join(f"{each[0]:g},{each[1]:g}" for each in points if each)
    return SeenBox(box.kind, box.text, box.x, box.y, box.width, box.height, written)


def _box(kind: str, box: Any, text: str) -> SeenBox | None:
    numbers = _numbers(box, 4)
    if not numbers or min(numbers) < 0:
        return None
    x, y, width, height = numbers
    return SeenBox(kind, text, x, y, width, height)


def _text(code: Mapping[str, Any]) -> str:
    kind = str(code.get("kind") or "")
    return f"{code.get('text', '')}" + (f" ({kind})" if kind and kind != "specimen" else "")


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(value, list | tuple) or len(value) != count:
        return None
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in value):
        return None
    return tuple(float(each) for each in value)


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list | tuple):
        yield from (each for each in value if isinstance(each, dict))
