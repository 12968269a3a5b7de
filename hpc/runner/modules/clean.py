"""Remove what an asset left on this site, and nothing else."""

import shutil

from hpc.runner.errors import BadInput, Transient
from hpc.runner.job import Job, Result, result

NAME = "clean"
NEEDS: tuple[str, ...] = ()
TAKES: tuple[str, ...] = ()
GIVES = ("details",)


def run(job: Job) -> Result:
    """Remove `<root>/assets/<guid>`; already gone is fine.

    Raises BadInput when that is a link (what it points to is not ours), OSError when the
    disk refuses.
    """
    folder = job.folder
    if folder.is_symlink():
        raise BadInput(f"{folder.name}: is a link, not a folder; somebody must look at it")
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    try:
        shutil.rmtree(folder)
    except FileNotFoundError as gone:
        # Gone before, or under the hands of a second clean-up: only what is left matters.
        if folder.exists():
            raise Transient(f"{folder.name}: somebody else removes files there too") from gone
    return result(details={"removed_files": len(sizes), "removed_bytes": sum(sizes)})
