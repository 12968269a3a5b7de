"""Jobs on a disk, and sheets drawn for them."""

from tests.support.jobs_on_disk import draw, make_job

__all__ = ["draw", "make_job"]
