"""Slurm as text, for jobs that others submitted: asked by their ids, whatever their names.

An id may be that of a single job, of an array, of one of its tasks (`77_3`), or the number
that a task has for itself; all of them are told of a line.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from hpc.scheduler.slurm import Task
from hpc.scheduler.states import slurm_state

NATIVE = re.compile(r"\d+(_\d+)?")
"""What may be a job's id; whatever else a script calls its job is asked of nobody."""

QUEUE_FORMAT = "%A|%F|%K|%T|%N|%j"
ACCOUNTING_FIELDS = "JobIDRaw,JobID,State,ExitCode,NodeList"
_ABSENT = "Invalid job id specified"

Shown = Mapping[str, Sequence[Task]]
"""The native jobs that an id may mean, by each id that was asked for."""


def queue_words(ids: Iterable[str]) -> list[str]:
    """Those of these jobs that are ours and that the queue shows, ended ones included."""
    return [
        *("env", "SLURM_BITSTR_LEN=0", "squeue", "--me", "--noheader", "--states=all"),
        f"--jobs={','.join(ids)}",
        f"--format={QUEUE_FORMAT}",
    ]


def read_queue(
    exit_code: int, lines: Sequence[str], stderr: str, ids: Iterable[str]
) -> Shown | None:
    """What squeue shows of each id; None when it gave no information.

    Asked for one job alone, it calls an id that it does not show an error.
    """
    if exit_code != 0 and _ABSENT in stderr and not any(line.strip() for line in lines):
        return {each: () for each in ids}
    if exit_code != 0 or stderr.strip():
        return None
    return _sorted(lines, _queue_line, ids)


def accounting_words(ids: Iterable[str]) -> list[str]:
    """What accounting knows of these jobs."""
    return [
        *("sacct", "--noheader", "--parsable2", "--allocations"),
        f"--jobs={','.join(ids)}",
        f"--format={ACCOUNTING_FIELDS}",
    ]


def read_accounting(
    exit_code: int, lines: Sequence[str], stderr: str, ids: Iterable[str]
) -> Shown | None:
    """What sacct shows of each id; None when there is no accounting or no answer."""
    if exit_code != 0 or stderr.strip():
        return None
    return _sorted(lines, _accounting_line, ids)


def _sorted(
    lines: Sequence[str], read: Callable[[str], tuple[set[str], Task]], ids: Iterable[str]
) -> Shown | None:
    """A line that cannot be read takes the answer's word away."""
    found: dict[str, list[Task]] = {each: [] for each in ids}
    for line in filter(str.strip, lines):
        try:
            names, task = read(line.strip())
        except ValueError:
            return None
        for name in names & found.keys():
            found[name].append(task)
    return found


def _queue_line(line: str) -> tuple[set[str], Task]:
    number, array, index, word, node, name = line.split("|", 5)
    if not number.isdecimal() or not array.isdecimal():
        raise ValueError(line)
    native = f"{array}_{index}" if index.isdecimal() else number
    return {number, array, native}, Task(native, name, slurm_state(word), word, node=node)


def _accounting_line(line: str) -> tuple[set[str], Task]:
    number, native, word, code, node = line.split("|", 4)
    if not number.isdecimal():
        raise ValueError(line)
    status, _, by_signal = code.partition(":")
    value = 128 + int(by_signal) if by_signal not in ("", "0") else int(status)
    names = {number, native, native.partition("_")[0]}
    return names, Task(native, "", slurm_state(word), word, node=node, exit_code=value)
