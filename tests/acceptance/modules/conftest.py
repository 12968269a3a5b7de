"""Jobs on a disk, as the runner would give them to a module."""

from tests.support.jobs_on_disk import make_job

__all__ = ["make_job"]
