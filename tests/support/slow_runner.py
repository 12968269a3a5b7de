"""The real runner, of whose modules one works until a file lets it go on."""

import zipfile
from pathlib import Path

from hpc.archives import build_runner

SLOW = """\
import time

from hpc.runner.job import Job, Result, result

NAME = "clean"
NEEDS = TAKES = ()
GIVES = ("details",)


def run(job: Job) -> Result:
    if not job.guid.startswith("mute"):
        print(f"looks at {job.guid}")
    while not (job.root / "go-on").exists():
        time.sleep(0.1)
    return result()
"""


CLEAN = "hpc/runner/modules/clean.py"


def slow_runner(folder: Path) -> Path:
    """A runner whose `clean` takes its time, and prints a line first, unless for `mute…`."""
    made = folder / "runner-slow.pyz"
    with zipfile.ZipFile(build_runner(folder)) as real, zipfile.ZipFile(made, "w") as slow:
        for name in real.namelist():
            ours = name == CLEAN
            if name != f"{CLEAN}c":  # what is compiled of it would be taken instead
                slow.writestr(name, SLOW if ours else real.read(name))
    return made
