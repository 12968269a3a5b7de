"""The image that a module looks at: where it lies, and that all of it is there."""

from pathlib import Path

from hpc.runner.job import Job


def source_image(job: Job) -> tuple[Path, int, list[str]]:
    """The job's image on this disk, how many pixels it may have, and warnings of it.

    Params: `max_pixels`, `accept_black`. Raises what `Job.image` and `check_integrity` raise.
    """
    from hpc.runner.imaging.integrity import check_integrity
    from hpc.runner.imaging.picture import MAX_PIXELS

    path = job.image()
    max_pixels = job.params.get("max_pixels", MAX_PIXELS)
    return path, max_pixels, check_integrity(path, max_pixels, accept_black=job.accept_black)
