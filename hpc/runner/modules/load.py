"""Bring an asset's files to this site, so that the stages after it find them here."""

from hpc.runner.job import Job, Result, result

NAME = "load"
NEEDS: tuple[str, ...] = ()
TAKES: tuple[str, ...] = ()
GIVES = ("details",)


def run(job: Job) -> Result:
    """Ensure every input in `<root>/assets/<guid>/`. Harmless to repeat."""
    paths = job.ensure_inputs()
    return result(
        details={
            "files": [{"name": path.name, "size_bytes": path.stat().st_size} for path in paths]
        },
        warnings=[] if paths else [f"the grant names no file for {job.guid}"],
    )
