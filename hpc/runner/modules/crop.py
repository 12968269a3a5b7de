"""Where the specimen is: a box for the stages and people after, no new file."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpc.runner.errors import BadInput
from hpc.runner.imaging.rectangle import Box, Rectangle
from hpc.runner.job import Job, Result, result
from hpc.runner.source import source_image

if TYPE_CHECKING:
    from hpc.runner.imaging.picture import Rgb

NAME = "crop"
NEEDS = ("PIL", "numpy", "pyvips")
TAKES = ("keep", "min_confidence", "accept_black", "max_pixels")
GIVES = ("details",)

COPY_SIDE = 800
"""Longer side, in pixels, of the copy that is judged; a box need not be finer."""
MIN_CONFIDENCE = 0.3
MAY_KEEP = ("chart", "ruler")


@dataclass(frozen=True)
class FoundOutline:
    """`what` is "sheet" or "specimen"; `items` what else was recognised, by kind."""

    what: str
    outline: Rectangle | None
    confidence: float
    why: str
    items: tuple[tuple[str, Box], ...] = ()


def run(job: Job) -> Result:
    """The sheet's outline and its upright box in pixels of the upright image.

    Where the sheet fills the frame, or there is none, it is the specimen's. `angle` is by how
    many degrees the sheet is turned clockwise, `corners` are its own, from the top left
    clockwise, `box` [x, y, w, h] is the upright box around them. `derive` cuts a `sure` sheet
    out along its corners. "Could not tell" is a result: `box` null and a warning. Params:
    `keep` (of "chart", "ruler": the outline takes them in; by default they are cut),
    `min_confidence` (0.3), `accept_black`, `max_pixels`. Raises BadInput naming the
    file or the parameter.
    """
    from hpc.runner.imaging.picture import read_colour

    keep = kinds_kept(job.params.get("keep", []))
    path, max_pixels, warnings = source_image(job)
    small, size = read_colour(path, max_pixels, max_side=COPY_SIDE)
    found = find_outline(small.numpy())
    scale = max(size) / max(small.width, small.height)
    outline = found.outline
    for kind, box in found.items:
        if outline is not None and kind in keep:
            outline = outline.around(box)
    sure = outline and found.confidence >= job.params.get("min_confidence", MIN_CONFIDENCE)
    details = {
        "image": path.name,
        "size": list(size),
        "what": found.what,
        **placed(outline and outline.scaled(scale), size),
        "confidence": found.confidence,
        "sure": bool(sure),
        "why": found.why,
        "beside": [{"kind": kind, "box": list(box.scaled(scale))} for kind, box in found.items],
    }
    if outline is None:
        warnings.append(f"{path.name}: could not tell specimen from background: {found.why}")
    elif not sure:
        warnings.append(f"{path.name}: the {found.what}'s box is a guess ({found.confidence})")
    return result(details=details, warnings=warnings)


def placed(outline: Rectangle | None, size: tuple[int, int]) -> dict[str, Any]:
    """Box, corners and angle as they are reported; all null where nothing was found."""
    if outline is None:
        return {"box": None, "corners": None, "angle": None}
    return {
        "box": list(outline.box(*size)),
        "corners": [[round(x, 1), round(y, 1)] for x, y in outline.corners()],
        "angle": round(outline.angle, 2),
    }


def kinds_kept(keep: Any) -> frozenset[str]:
    """What the box shall take in besides the sheet; raises BadInput naming what is unknown."""
    unknown = [kind for kind in keep if kind not in MAY_KEEP] if isinstance(keep, list) else [keep]
    if unknown:
        raise BadInput(f"params.keep: {unknown} is unknown; it is a list of {list(MAY_KEEP)}")
    return frozenset(keep)


def find_outline(rgb: "Rgb") -> FoundOutline:
    """The sheet if one can be told from its table, else the specimen on its background."""
    from hpc.runner.imaging.extent import find_extent
    from hpc.runner.imaging.sheet import find_sheet
    from hpc.runner.imaging.table_items import find_chart, items_on_table

    sheet = find_sheet(rgb)
    if sheet is not None:
        items = tuple((item.kind, item.box) for item in items_on_table(rgb, sheet))
        why = "paper on a table of another colour"
        return FoundOutline("sheet", sheet.outline, sheet.confidence, why, items)
    chart = find_chart(rgb)
    extent = find_extent(rgb, but=chart)
    box = extent.box
    outline = Rectangle(*box.centre, box.width, box.height, 0.0) if box else None
    items = (("chart", chart),) if chart else ()
    return FoundOutline("specimen", outline, extent.confidence, extent.why, items)
