"""The smaller copies an archive hands out: by default a 400 ppi TIFF and a 72 ppi JPEG."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpc.runner.errors import BadInput
from hpc.runner.imaging.rectangle import Rectangle, rectangle_through
from hpc.runner.job import GrantedChild, Job, Result, inside, result
from hpc.runner.source import source_image

NAME = "derive"
NEEDS = ("PIL", "numpy", "pyvips")
TAKES = ("ppi", "scan_ppi", "cut", "longest_px", "least_px", "accept_black", "max_pixels")
GIVES = ("derivatives", "details")

PPI = (400, 72)
MIN_TIFF_PPI = 150
"""Below it a copy is for looking at: a JPEG, a thumbnail. From it on, a TIFF to work with."""
LONGEST_PX = 1600
"""Of a thumbnail's longer side: what a page shows, whatever the resolution is or is not."""
MIN_PX = {"tif": 200, "jpeg": 32}
"""Of the shorter side of a reduced copy: less comes of a resolution that is not the scan's."""
MAX_DIFFERENCE = 0.05
"""Between the ruler's resolution and the file's, relative, without a warning."""


@dataclass(frozen=True)
class Resolution:
    """Of the scan, in ppi; None: unknown. `said_by`: its source. `doubt` is a warning."""

    ppi: float | None
    said_by: str
    ruler: dict[str, Any] | None = None
    doubt: str | None = None


def run(job: Job) -> Result:
    """Make `<root>/assets/<guid>/derived/<child guid>.tif|.jpg` for each ppi asked.

    Params: `ppi` [400, 72], `scan_ppi`, `cut` (false), `longest_px` (1600, of a thumbnail),
    `least_px`, `accept_black`, `max_pixels`. The scan's resolution is params.scan_ppi, else
    the metadata's, else a ruler's in the image, else the file's; unknown, or lower than asked:
    a copy is not resampled, and a thumbnail only to its bound. With `cut`, a sheet that an
    earlier stage was sure of is cut out and set straight. Making them again gives the same.
    Raises BadInput, also for a derivative whose size makes no sense, Transient, OSError.
    """
    children = children_asked(job)
    max_side, min_side = pixels_asked(job, "longest_px"), pixels_asked(job, "least_px")
    source, max_pixels, warnings = source_image(job)
    resolution = source_resolution(job, source, max_pixels)
    cut = sheet_to_cut(job, source)
    (job.folder / "derived").mkdir(exist_ok=True)
    bounds = max_pixels, max_side or LONGEST_PX, min_side
    made = [make(job, child, source, resolution, cut, *bounds) for child in children]
    details = {
        "image": source.name,
        "source_ppi": resolution.ppi,
        "source_ppi_from": resolution.said_by,
        "ruler": resolution.ruler,
        "cut": cut
        and {"angle": round(cut.angle, 2), "size": [round(cut.width), round(cut.height)]},
        "made": [measures for _, measures in made],
    }
    if resolution.doubt:
        warnings.append(f"{source.name}: {resolution.doubt}")
    if resolution.ppi is None:
        warnings.append(f"{source.name}: scan resolution unknown, not resampled to a ppi")
    derivatives = [derivative for derivative, _ in made]
    return result(derivatives=derivatives, details=details, warnings=warnings)


def pixels_asked(job: Job, name: str) -> int | None:
    """A parameter that is a number of pixels; None where it is not given. Raises BadInput."""
    value = job.params.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(f"params.{name}: {value!r} is not a number of pixels above 0")
    return value if name in job.params else None


def children_asked(job: Job) -> list[GrantedChild]:
    """The child the server named for each ppi asked. Raises BadInput where there is none."""
    named = {child.ppi: child for child in job.children}
    asked = job.params.get("ppi", list(PPI))
    missing = [ppi for ppi in asked if ppi not in named]
    if missing:
        raise BadInput(f"params.ppi: the grant names no derivative for {missing} ppi")
    return [named[ppi] for ppi in asked]


def sheet_to_cut(job: Job, source: Path) -> Rectangle | None:
    """The sheet as an earlier stage found it in this very image.

    Only one it was sure of: a cut takes away what nobody will see again. Raises BadInput
    naming the stage when its corners are none.
    """
    if not job.params.get("cut", False):
        return None
    for stage, found in job.results.items():
        if found.get("what") != "sheet" or found.get("image") != source.name:
            continue
        try:
            corners = [(float(x), float(y)) for x, y in found["corners"] or ()]
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"results.{stage}.corners: are not four points ({error!r})") from error
        if found.get("sure") is True and len(corners) == 4:
            return rectangle_through(corners)
    return None


def source_resolution(job: Job, source: Path, max_pixels: int) -> Resolution:
    """Pixels per inch of the scan, and their source. Raises BadInput when it is no number."""
    from hpc.runner.imaging.resolution import ppi_in_file
    from hpc.runner.imaging.ruler import read_ruler

    tags = job.metadata.get("tags") or {}
    given = {
        "params": job.params.get("scan_ppi"),
        "metadata": job.metadata.get("scan_ppi") or tags.get("scan_ppi"),
    }
    for where, value in given.items():
        if value is not None:
            return Resolution(checked_ppi(where, value), where)
    claimed = ppi_in_file(source)
    ruler = read_ruler(source, max_pixels)
    if ruler is None:
        return Resolution(claimed.ppi, "file" if claimed.ppi else "nobody", doubt=claimed.doubt)
    doubt = claimed.doubt
    if claimed.ppi and abs(claimed.ppi / ruler.ppi - 1) >= MAX_DIFFERENCE:
        doubt = f"the ruler says {ruler.ppi} ppi, the file {claimed.ppi}; the ruler counts"
    details = {"ticks": ruler.ticks, "spread": ruler.spread}
    return Resolution(ruler.ppi, "ruler", details, doubt)


def checked_ppi(where: str, value: Any) -> float:
    """`value` as a resolution; raises BadInput naming `where` it stands."""
    try:
        ppi = float(value)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}.scan_ppi: {value!r} is not a number") from error
    if not 1 <= ppi <= 100_000:
        raise BadInput(f"{where}.scan_ppi: {value!r} is not a resolution in ppi")
    return ppi


def make(
    job: Job,
    child: GrantedChild,
    source: Path,
    resolution: Resolution,
    cut: Rectangle | None,
    max_pixels: int,
    max_side: int,
    min_side: int | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make one derivative, and return its declaration and its measures.

    `max_side` bounds a thumbnail's longer side; a reduced copy's shorter side under `min_side`
    (None: the usual one) makes no sense. It has its name only when it is complete and of a
    size that does. Raises BadInput, Transient, OSError.
    """
    from hpc.runner.files import crc32_of
    from hpc.runner.imaging.scaled import FORMATS, size_problem, write_scaled

    file_format = "tif" if child.ppi >= MIN_TIFF_PPI else "jpeg"
    target = inside(job.folder / "derived", f"{child.guid}{FORMATS[file_format]}")
    partial = target.with_name(f".{target.name}.{job.attempt}.part")
    try:
        scaled = write_scaled(
            source,
            partial,
            file_format=file_format,
            ppi=child.ppi,
            source_ppi=resolution.ppi,
            max_side=max_side if file_format == "jpeg" else None,
            cut=cut,
            max_pixels=max_pixels,
        )
        if problem := size_problem(scaled, min_side or MIN_PX[file_format]):
            raise BadInput(
                f"{source.name}: its {child.ppi} ppi derivative would be {scaled.width} x "
                f"{scaled.height} pixels, and {problem}; its resolution is {resolution.ppi} ppi by "
                f"the {resolution.said_by}: give the right one in params.scan_ppi, or set "
                "params.least_px if that size is right"
            )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    size = target.stat().st_size
    derivative = {
        "guid": child.guid,
        "ppi": child.ppi,
        "file_format": file_format,
        "payload_type": "image" if file_format == "tif" else "thumbnail",
        "file": {"name": target.name, "crc32": crc32_of(target), "size_bytes": size},
    }
    measures = {
        "name": target.name,
        "size": [scaled.width, scaled.height],
        "scale": scaled.scale,
        "ppi": scaled.ppi,
    }
    return derivative, measures
