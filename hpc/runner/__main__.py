"""The command line of the runner: `<site.python> runner.pyz --batch DIR --index I`."""

import argparse
import json
import logging
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from hpc.runner.batch import parse_index, read_lines
from hpc.runner.errors import BatchError
from hpc.runner.registry import load, names
from hpc.runner.runner import LOG, Runner
from hpc.runner.signals import Signals

EXIT_CODES = """\
exit codes:
  0    every line ended: its outcome is delivered or kept in results/, or it was not granted
  65   the batch folder cannot be read; stderr names file, line and field
  74   an outcome could be neither delivered nor kept
  75   the server could not be reached for a start (also: others answered in its stead);
       nothing was touched
  77   the server itself refused a start; nothing was touched
  78   --check: a library is missing
  128+N  ended by signal N; nobody else reports the line at work, later lines were not begun
"""


def arguments() -> argparse.ArgumentParser:
    """The parser, whose --help is the runner's manual."""
    parser = argparse.ArgumentParser(
        prog="runner.pyz",
        description="Run lines of a batch, each with the server's grant, one after another.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--batch", type=Path, metavar="DIR", help="the batch folder")
    parser.add_argument("--index", metavar="I[-J][,K]", help="lines of manifest.jsonl, from 0")
    parser.add_argument(
        "--native-id", metavar="ID", help="this job's name here (default: the scheduler's)"
    )
    parser.add_argument(
        "--patience", type=float, default=300.0, metavar="S", help="seconds to keep trying (300)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="default: what the job was given")
    parser.add_argument(
        "--check", action="store_true", help="say as JSON which modules this Python can run"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = arguments()
    given = parser.parse_args(argv)
    if given.check:
        return check()
    if given.batch is None or given.index is None:
        parser.error("--batch and --index are both needed (or --check)")
    threads = max(1, given.threads or threads_given(os.environ))
    # Read by the libraries when they load, so before any module does.
    for variable in ("OMP_NUM_THREADS", "VIPS_CONCURRENCY"):
        os.environ.setdefault(variable, str(threads))
    signals = Signals()
    signals.install()
    LOG.setLevel(logging.DEBUG)
    LOG.propagate = False
    native_id = given.native_id or native_id_of(os.environ)
    runner = Runner(given.batch, native_id, given.patience, threads, signals)
    try:
        lines = read_lines(given.batch, parse_index(given.index))
    except BatchError as error:
        sys.stderr.write(f"{error}\n")
        return os.EX_DATAERR
    return runner.run(lines)


def check() -> int:
    """Print what each module needs and what of it is missing."""
    modules = {name: load(name) for name in names()}
    report = {
        "python": sys.version.split()[0],
        "modules": {
            name: {"needs": list(module.needs), "missing": module.missing}
            for name, module in modules.items()
        },
    }
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return os.EX_CONFIG if any(module.missing for module in modules.values()) else 0


def native_id_of(environment: Mapping[str, str]) -> str:
    """What the scheduler calls this job; host and process where there is no scheduler."""
    array, task = (environment.get(f"SLURM_ARRAY_{part}_ID") for part in ("JOB", "TASK"))
    if array and task:
        return f"{array}_{task}"
    known = environment.get("SLURM_JOB_ID") or environment.get("PBS_JOBID")
    return known or f"{socket.gethostname()}:{os.getpid()}"


def threads_given(environment: Mapping[str, str]) -> int:
    """The processors the scheduler gave this job, else those this process may use."""
    for variable in ("SLURM_CPUS_PER_TASK", "PBS_NUM_PPN", "NCPUS", "OMP_NUM_THREADS"):
        if environment.get(variable, "").isdecimal():
            return int(environment[variable])
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    sys.exit(main())
