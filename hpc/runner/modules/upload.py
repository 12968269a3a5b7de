"""Send to the archive's share what derive made on this site."""

from hpc.runner.errors import BadInput
from hpc.runner.job import Job, Result, asset_folder, inside, result

NAME = "upload"
NEEDS: tuple[str, ...] = ()
TAKES: tuple[str, ...] = ()
GIVES = ("uploaded",)


def run(job: Job) -> Result:
    """PUT each of the grant's uploads from `<root>/assets/<parent guid>/derived/`.

    Raises BadInput when the file is not here or is another one. Sending the same bytes
    twice leaves the share as sending them once.
    """
    if job.parent_guid is None:
        raise BadInput(f"asset {job.guid}: the grant names no parent, so there is no derived file")
    folder = asset_folder(job.root, job.parent_guid) / "derived"
    for file in job.uploads:
        job.files.send(inside(folder, file.name), file)
    return result(
        uploaded=[
            {"name": file.name, "crc32": file.crc32, "size_bytes": file.size_bytes}
            for file in job.uploads
        ],
        warnings=[] if job.uploads else [f"the grant names no file to upload for {job.guid}"],
    )
