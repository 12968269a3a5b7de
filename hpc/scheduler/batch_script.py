"""The batch script of an array, as Slurm reads it."""

import re
import shlex
from dataclasses import dataclass

from hpc.scheduler.text import WAIT_AND_KEEP_CODE, clock, prelude_lines
from schemas.pipeline.model import Resources

SIGNAL_LEAD_S = 90

_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ArraySpec:
    """One array to submit: task `i` runs line `i` of the manifest in its folder.

    `runner` is relative to the batch's folder, `throttle` the most tasks at a time, `prelude`
    the site's shell text, run before. `alone`: one job that is no array, for a cluster that takes
    none.
    """

    size: int
    python: str
    runner: str
    resources: Resources
    throttle: int | None = None
    exclude: tuple[str, ...] = ()
    prelude: str = ""
    alone: bool = False


def render(spec: ArraySpec) -> str:
    """The batch script of an array, to be submitted from within its folder.

    It hands signals on to the runner and leaves the exit code of each task in
    `ended/<native id>`: evidence of an end where there is no accounting.
    """
    options = "\n".join(f"#SBATCH {option}" for option in _options(spec))
    return _SCRIPT.format(
        options=options,
        prelude=prelude_lines(spec.prelude),
        wait=WAIT_AND_KEEP_CODE,
        native=_ALONE if spec.alone else _TASK,
        index="0" if spec.alone else '"$SLURM_ARRAY_TASK_ID"',
        python=shlex.quote(spec.python),
        runner=shlex.quote(spec.runner),
    )


_TASK = '"${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"'
_ALONE = '"$SLURM_JOB_ID"'


_SCRIPT = """\
#!/bin/sh
{options}
{prelude}native={native}
{python} {runner} --batch . --index {index} --native-id "$native" &
{wait}log="log/slurm-$native.out"
[ -s "$log" ] || rm -f "$log"
exit "$code"
"""


def _options(spec: ArraySpec) -> list[str]:
    asked = spec.resources
    throttle = f"%{spec.throttle}" if spec.throttle and spec.throttle < spec.size else ""
    options = {
        "array": "" if spec.alone else f"0-{spec.size - 1}{throttle}",
        "output": "log/slurm-%j.out" if spec.alone else "log/slurm-%A_%a.out",
        "open-mode": "append",
        "time": asked.time_s and clock(asked.time_s),
        "signal": _signal(asked.time_s),
        "mem": asked.mem_mb and f"{asked.mem_mb}M",
        "cpus-per-task": asked.cpus,
        "gres": asked.gpus and f"gpu:{asked.gpus}",
        "partition": asked.partition,
        "account": asked.account,
        "qos": asked.qos,
        "exclude": ",".join(node for node in spec.exclude if _NODE.fullmatch(node)),
    }
    return ["--no-requeue", *(f"--{name}={value}" for name, value in options.items() if value)]


def _signal(time_s: int | None) -> str | None:
    """Shortly before the limit; Slurm may send it a minute early, so never in short jobs."""
    if time_s is not None and time_s <= 120:
        return None
    lead = SIGNAL_LEAD_S if time_s is None else min(SIGNAL_LEAD_S, time_s // 6)
    return f"B:USR1@{lead}"
