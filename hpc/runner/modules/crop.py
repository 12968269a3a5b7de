"""Where the specimen is: a box for the stages and people after, no new file."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpc.runner.errors import BadInput
from hpc.runner.imaging.rectangle import Box, Rectangle, upright
from hpc.runner.job import Job, Result, result

if TYPE_CHECKING:
    from hpc.runner.imaging.picture import Rgb

NAME = "crop"
NEEDS = ("PIL", "numpy", "pyvips")
TAKES = ("keep", "min_confidence", "accept_black", "max_pixels")
GIVES = ("details",)

LOOK_AT = 800
"""Longer side, in pixels, of the copy that is judged; a box need not be finer."""
SURE = 0.3
BESIDE = ("chart", "ruler")


@dataclass(frozen=True)
class FoundOutline:
    """`what` is "sheet" or "specimen"; `beside` what else was recognised, by kind."""

    what: str
    outline: Rectangle | None
    confidence: float
    why: str
    beside: tuple[tuple[str, Box], ...] = ()


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
    from hpc.runner.imaging.picture import MAX_PIXELS, as_rgb, read_small
    from hpc.runner.imaging.whole import remarks

    keep = kinds_kept(job.params.get("keep", []))
    path = job.image()
    max_pixels = job.params.get("max_pixels", MAX_PIXELS)
    warnings = remarks(path, max_pixels, accept_black=job.accept_black)
    small, size = read_small(path, LOOK_AT, max_pixels)
    found = look(as_rgb(small))
    scale = max(size) / max(small.width, small.height)
    outline = found.outline
    for kind, beside in found.beside:
        if outline is not None and kind in keep:
            outline = outline.around(beside)
    sure = outline is not None and found.confidence >= job.params.get("min_confidence", SURE)
    details = {
        "image": path.name,
        "size": list(size),
        "what": found.what,
        **placed(outline.scaled(scale) if outline else None, size),
        "confidence": found.confidence,
        "sure": sure,
        "why": found.why,
        "beside": [
            {"kind": kind, "box": [round(value * scale) for value in box]}
            for kind, box in found.beside
        ],
    }
    if outline is None:
        warnings.append(f"{path.name}: could not tell specimen from background: {found.why}")
    elif not sure:
        warnings.append(f"{path.name}: the {found.what}'s box is a guess ({found.confidence})")
    return result(details=details, warnings=warnings)


def placed(outline: Rectangle | None, size: tuple[int, int]) -> dict[str, Any]:
    """Box, corners and angle as they are told; all null where nothing was found."""
    if outline is None:
        return {"box": None, "corners": None, "angle": None}
    return {
        "box": list(outline.box(*size)),
        "corners": [[round(x, 1), round(y, 1)] for x, y in outline.corners()],
        "angle": round(outline.angle, 2),
    }


def kinds_kept(keep: Any) -> frozenset[str]:
    """What the box shall take in beside the sheet; raises BadInput naming what is unknown."""
    unknown = [kind for kind in keep if kind not in BESIDE] if isinstance(keep, list) else [keep]
    if unknown:
        raise BadInput(f"params.keep: {unknown} is unknown; it is a list of {list(BESIDE)}")
    return frozenset(keep)


def look(rgb: "Rgb") -> FoundOutline:
    """The sheet if one can be told from its table, else the specimen on its background."""
    from hpc.runner.imaging.beside import find_chart, things_beside
    from hpc.runner.imaging.extent import find_extent
    from hpc.runner.imaging.sheet import find_sheet

    sheet = find_sheet(rgb)
    if sheet is not None:
        beside = tuple((thing.kind, thing.box) for thing in things_beside(rgb, sheet))
        why = "paper on a table of another colour"
        return FoundOutline("sheet", sheet.outline, sheet.confidence, why, beside)
    chart = find_chart(rgb)
    extent = find_extent(rgb, but=chart)
    beside = (("chart", chart),) if chart else ()
    outline = upright(extent.box) if extent.box else None
    return FoundOutline("specimen", outline, extent.confidence, extent.why, beside)
