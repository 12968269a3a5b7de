"""Where the specimen is: a box for the stages and people after, no new file."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpc.job.errors import BadInput
from hpc.job.job import Job, Result, result

if TYPE_CHECKING:
    from hpc.job.imaging.picture import Rgb

NAME = "crop"
NEEDS = ("numpy", "pyvips")

LOOK_AT = 800
"""Longer side, in pixels, of the copy that is judged; a box need not be finer."""
SURE = 0.3
BESIDE = ("chart", "ruler")

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Found:
    """`what` is "sheet" or "specimen"; `beside` what else was recognised, by kind."""

    what: str
    box: Box | None
    angle: float
    confidence: float
    why: str
    beside: tuple[tuple[str, Box], ...] = ()


def run(job: Job) -> Result:
    """The sheet's box [x, y, w, h] in pixels of the upright image, with a confidence.

    Where the sheet fills the frame, or there is none, it is the specimen's. `angle` is by how
    many degrees the sheet is turned clockwise; `box` is the upright box around it. "Could not
    tell" is a result: `box` null and a warning. Params: `keep` (of "chart", "ruler": the box
    takes them in; by default they are cut), `min_confidence` (0.3), `max_pixels`. Raises
    BadInput naming the file or the parameter.
    """
    from hpc.job.imaging.picture import MAX_PIXELS, as_rgb, read_small

    keep = kinds_kept(job.params.get("keep", []))
    path = job.image()
    small, (width, height) = read_small(path, LOOK_AT, job.params.get("max_pixels", MAX_PIXELS))
    found = look(as_rgb(small))
    across, down = width / small.width, height / small.height
    box = found.box
    for kind, beside in found.beside:
        if box is not None and kind in keep:
            box = around(box, beside)
    details = {
        "image": path.name,
        "size": [width, height],
        "what": found.what,
        "box": enlarged(box, across, down) if box else None,
        "angle": found.angle,
        "confidence": found.confidence,
        "why": found.why,
        "beside": [{"kind": kind, "box": enlarged(b, across, down)} for kind, b in found.beside],
    }
    warnings = []
    if box is None:
        warnings.append(f"{path.name}: could not tell specimen from background: {found.why}")
    elif found.confidence < job.params.get("min_confidence", SURE):
        warnings.append(f"{path.name}: the {found.what}'s box is a guess ({found.confidence})")
    return result(details=details, warnings=warnings)


def kinds_kept(keep: Any) -> frozenset[str]:
    """What the box shall take in beside the sheet; raises BadInput naming what is unknown."""
    unknown = [kind for kind in keep if kind not in BESIDE] if isinstance(keep, list) else [keep]
    if unknown:
        raise BadInput(f"params.keep: {unknown} is unknown; it is a list of {list(BESIDE)}")
    return frozenset(keep)


def look(rgb: "Rgb") -> Found:
    """The sheet if one can be told from its table, else the specimen on its background."""
    from hpc.job.imaging.beside import find_chart, things_beside
    from hpc.job.imaging.extent import find_extent
    from hpc.job.imaging.sheet import find_sheet

    sheet = find_sheet(rgb)
    if sheet is not None:
        beside = tuple((thing.kind, thing.box) for thing in things_beside(rgb, sheet))
        why = "paper on a table of another colour"
        return Found("sheet", sheet.box, sheet.angle, sheet.confidence, why, beside)
    chart = find_chart(rgb)
    extent = find_extent(rgb, but=chart)
    beside = (("chart", chart),) if chart else ()
    return Found("specimen", extent.box, 0.0, extent.confidence, extent.why, beside)


def around(a: Box, b: Box) -> Box:
    """The box around both."""
    left, top = min(a[0], b[0]), min(a[1], b[1])
    right, bottom = max(a[0] + a[2], b[0] + b[2]), max(a[1] + a[3], b[1] + b[3])
    return left, top, right - left, bottom - top


def enlarged(box: Box, across: float, down: float) -> list[int]:
    """A box of the small copy in pixels of the image."""
    x, y, width, height = box
    return [int(x * across), int(y * down), round(width * across), round(height * down)]
