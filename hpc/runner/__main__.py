"""The command line of the runner: `<site.python> runner.pyz --batch DIR --index I`."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import NoReturn

from hpc.runner.arguments import parse
from hpc.runner.batch import parse_index, read_lines
from hpc.runner.errors import BatchError
from hpc.runner.registry import load, names
from hpc.runner.runner import Runner
from hpc.runner.signals import Signals


def main(argv: list[str] | None = None) -> int:
    """Run, and return the exit code."""
    given = parse(sys.argv[1:] if argv is None else argv)
    if given.check:
        return check()
    threads = max(1, given.threads or threads_given(os.environ))
    # Read by the libraries when they load, so before any module does.
    for variable in ("OMP_NUM_THREADS", "VIPS_CONCURRENCY"):
        os.environ.setdefault(variable, str(threads))
    signals = Signals()
    signals.install()
    native_id = given.native_id or native_id_of(os.environ)
    runner = Runner(given.batch, native_id, given.patience, threads, signals)
    try:
        lines = read_lines(given.batch, parse_index(given.lines))
    except BatchError as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_DATAERR
    return runner.run(lines)


def end(code: int) -> NoReturn:
    """End this process at once: what counts is sent or on the disk by now.

    To take a Python apart first costs as much as two lines that do nothing.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError):  # a job may have none, or on a full disk
            stream.flush()
    os._exit(code)


def check() -> int:
    """Print what each module needs, what of it is missing, and what pip is to install for all."""
    from hpc.runner.libraries import IMAGING

    modules = {name: load(name) for name in names()}
    report = {
        "python": sys.version.split()[0],
        "modules": {
            name: {"needs": list(module.needs), "missing": module.missing}
            for name, module in modules.items()
        },
        "install": list(IMAGING),
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return os.EX_CONFIG if any(module.missing for module in modules.values()) else 0


def native_id_of(environment: Mapping[str, str]) -> str:
    """What the scheduler calls this job; host and process where there is no scheduler."""
    array, task = (environment.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    if array and task:
        return f"{array}_{task}"
    known = environment.get("SLURM_JOB_ID") or environment.get("PBS_JOBID")
    return known or f"{os.uname().nodename}:{os.getpid()}"


_GIVEN = ("SLURM_CPUS_PER_TASK", "PBS_NUM_PPN", "NCPUS", "LSB_DJOB_NUMPROC", "OMP_NUM_THREADS")
"""How schedulers say how many processors a job was given: Slurm, TORQUE, PBS Pro, LSF."""


def threads_given(environment: Mapping[str, str]) -> int:
    """The processors the scheduler gave this job, else those this process may use."""
    for variable in _GIVEN:
        if environment.get(variable, "").isdecimal():
            return int(environment[variable])
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    end(main())
