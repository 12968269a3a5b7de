"""The smaller copies an archive hands out: by default a 400 ppi TIFF and a 72 ppi JPEG."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpc.job.errors import BadInput
from hpc.job.imaging.rectangle import Rectangle, rectangle_through
from hpc.job.job import Child, Job, Result, inside, result

NAME = "derive"
NEEDS = ("PIL", "numpy", "pyvips")
TAKES = ("ppi", "scan_ppi", "cut", "max_pixels")
GIVES = ("derivatives", "details")

PPI = (400, 72)
LEAST_TIFF_PPI = 150
"""Below it a copy is for looking at: a JPEG, a thumbnail. From it on, a TIFF to work with."""


DISAGREE = 0.05


@dataclass(frozen=True)
class Resolution:
    """Of the scan, in ppi; None: nobody says. `doubt` is a warning."""

    ppi: float | None
    said_by: str
    ruler: dict[str, Any] | None = None
    doubt: str | None = None


def run(job: Job) -> Result:
    """Make `<root>/assets/<guid>/derived/<child guid>.tif|.jpg` for each ppi asked.

    Params: `ppi` [400, 72], `scan_ppi`, `cut` (false), `max_pixels`. The scan's resolution is
    params.scan_ppi, else the metadata's, else a ruler's in the image, else the file's;
    unknown, or lower than asked: nothing is resampled. With `cut`, a sheet that an earlier
    stage was sure of is cut out and set straight. Making them again gives the same.
    Raises BadInput, Transient, OSError.
    """
    from hpc.job.imaging.picture import MAX_PIXELS

    children = children_asked(job)
    source = job.image()
    max_pixels = job.params.get("max_pixels", MAX_PIXELS)
    resolution = source_resolution(job, source, max_pixels)
    cut = sheet_to_cut(job, source)
    folder = job.folder / "derived"
    folder.mkdir(exist_ok=True)
    derivatives, made = [], []
    for child in children:
        derivative, scaled = make(job, child, source, folder, resolution.ppi, cut)
        derivatives.append(derivative)
        made.append(scaled)
    details = {
        "image": source.name,
        "source_ppi": resolution.ppi,
        "source_ppi_from": resolution.said_by,
        "ruler": resolution.ruler,
        "cut": {"angle": round(cut.angle, 2), "size": [round(cut.width), round(cut.height)]}
        if cut
        else None,
        "made": made,
    }
    warnings = [f"{source.name}: {resolution.doubt}"] if resolution.doubt else []
    if resolution.ppi is None:
        warnings.append(f"{source.name}: scan resolution unknown, not resampled")
    return result(derivatives=derivatives, details=details, warnings=warnings)


def children_asked(job: Job) -> list[Child]:
    """The child the server named for each ppi asked. Raises BadInput where there is none."""
    named = {child.ppi: child for child in job.children}
    asked = job.params.get("ppi", list(PPI))
    missing = [ppi for ppi in asked if ppi not in named]
    if missing:
        raise BadInput(f"params.ppi: the grant names no derivative for {missing} ppi")
    return [named[ppi] for ppi in asked]


def sheet_to_cut(job: Job, source: Path) -> Rectangle | None:
    """The sheet as an earlier stage that looked for one in this very image told it.

    Only one it was sure of: a cut takes away what nobody will see again. Raises BadInput
    naming the stage when its corners are none.
    """
    if not job.params.get("cut", False):
        return None
    for stage, told in job.results.items():
        if told.get("what") != "sheet" or told.get("image") != source.name:
            continue
        try:
            corners = [(float(x), float(y)) for x, y in told["corners"] or ()]
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"results.{stage}.corners: are not four points ({error!r})") from error
        if told.get("sure") is True and len(corners) == 4:
            return rectangle_through(corners)
    return None


def source_resolution(job: Job, source: Path, max_pixels: int) -> Resolution:
    """Pixels per inch of the scan, and who says so. Raises BadInput when it is no number."""
    from hpc.job.imaging.ruler import read_ruler
    from hpc.job.imaging.scaled import ppi_in_file

    tags = job.metadata.get("tags") or {}
    said = {
        "params": job.params.get("scan_ppi"),
        "metadata": job.metadata.get("scan_ppi") or tags.get("scan_ppi"),
    }
    for where, value in said.items():
        if value is not None:
            return Resolution(checked_ppi(where, value), where)
    in_file = ppi_in_file(source, max_pixels)
    ruler = read_ruler(source, max_pixels)
    if ruler is None:
        return Resolution(in_file, "file" if in_file else "nobody")
    agree = in_file is None or abs(in_file / ruler.ppi - 1) < DISAGREE
    return Resolution(
        ruler.ppi,
        "ruler",
        {"ticks": ruler.ticks, "spread": ruler.spread},
        None if agree else f"the ruler says {ruler.ppi} ppi, the file {in_file}; the ruler counts",
    )


def checked_ppi(where: str, value: Any) -> float:
    """`value` as a resolution; raises BadInput naming `where` it was said."""
    try:
        ppi = float(value)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}.scan_ppi: {value!r} is not a number") from error
    if not 1 <= ppi <= 100_000:
        raise BadInput(f"{where}.scan_ppi: {value!r} is not a resolution in ppi")
    return ppi


def make(
    job: Job,
    child: Child,
    source: Path,
    folder: Path,
    source_ppi: float | None,
    cut: Rectangle | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """One derivative, under its name only when whole; its declaration and its measures."""
    from hpc.job.client import crc32_of
    from hpc.job.imaging.picture import MAX_PIXELS
    from hpc.job.imaging.scaled import FORMATS, write_scaled

    file_format = "tif" if child.ppi >= LEAST_TIFF_PPI else "jpeg"
    target = inside(folder, f"{child.guid}{FORMATS[file_format]}")
    partial = target.with_name(f".{target.name}.{job.attempt}.part")
    try:
        scaled = write_scaled(
            source,
            partial,
            file_format=file_format,
            ppi=child.ppi,
            source_ppi=source_ppi,
            cut=cut,
            max_pixels=job.params.get("max_pixels", MAX_PIXELS),
        )
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    derivative = {
        "guid": child.guid,
        "ppi": child.ppi,
        "file_format": file_format,
        "payload_type": "image" if file_format == "tif" else "thumbnail",
        "file": {
            "name": target.name,
            "crc32": crc32_of(target),
            "size_bytes": target.stat().st_size,
        },
    }
    measures = {
        "name": target.name,
        "size": [scaled.width, scaled.height],
        "scale": scaled.scale,
        "ppi": scaled.ppi,
    }
    return derivative, measures
