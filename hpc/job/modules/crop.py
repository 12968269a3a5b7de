"""Where the specimen is: a box for the stages and people after, no new file."""

from hpc.job.job import Job, Result, result

NAME = "crop"
NEEDS = ("numpy", "pyvips")

LOOK_AT = 800
"""Longer side, in pixels, of the copy that is judged; a box need not be finer."""
SURE = 0.3


def run(job: Job) -> Result:
    """The specimen's box [x, y, w, h] in pixels of the upright image, with a confidence.

    "Could not tell" is a result: `box` null and a warning. Params: `max_pixels`,
    `min_confidence` (0.3). Raises BadInput naming the file.
    """
    from hpc.job.imaging.extent import find_extent
    from hpc.job.imaging.picture import MAX_PIXELS, as_rgb, read_small

    path = job.image()
    small, (width, height) = read_small(path, LOOK_AT, job.params.get("max_pixels", MAX_PIXELS))
    extent = find_extent(as_rgb(small))
    box = None
    if extent.box is not None:
        across, down = width / small.width, height / small.height
        x, y, w, h = extent.box
        box = [int(x * across), int(y * down), round(w * across), round(h * down)]
    warnings = []
    if box is None:
        warnings.append(f"{path.name}: could not tell specimen from background: {extent.why}")
    elif extent.confidence < job.params.get("min_confidence", SURE):
        warnings.append(f"{path.name}: the specimen's box is a guess ({extent.confidence})")
    details = {
        "image": path.name,
        "size": [width, height],
        "box": box,
        "confidence": extent.confidence,
        "why": extent.why,
    }
    return result(details=details, warnings=warnings)
