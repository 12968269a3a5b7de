"""Slurm as text, for jobs that others submitted: asked by their ids, whatever their names.

An id may be that of a single job, of an array, of one of its tasks (`77_3`), or the number
that a task has for itself; a line is found by any of them. An id alone is no proof of whose
the job is: a controller that lost its state counts from the beginning again. A job that was
submitted after its id was reported to us is another's, unless Slurm requeued it.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hpc.scheduler.refusals import answered
from hpc.scheduler.slurm import Task, exit_code_of, is_noise
from hpc.scheduler.states import slurm_state

NATIVE = re.compile(r"\d+(_\d+)?")
"""What may be a job's id; whatever else a script calls its job is not asked for."""

QUEUE_FORMAT = "%A|%F|%K|%T|%N|%V|%j"
ACCOUNTING_FIELDS = "JobIDRaw,JobID,State,ExitCode,NodeList,Submit,JobName"
RESTARTS_FORMAT = "JobID:20|,RestartCnt:10|"
_ABSENT = "Invalid job id specified"
_CLOCK = ("env", "SLURM_TIME_FORMAT=%s")
"""Has Slurm print times in seconds since 1970, whatever its login node's zone."""


@dataclass(frozen=True)
class SeenJob(Task):
    """A job as it is shown, and when it was submitted, in seconds by the cluster's clock."""

    number: str = ""
    submitted: float | None = None


Shown = Mapping[str, Sequence[SeenJob]]
"""The native jobs that an id may mean, by each id that was asked for."""

Reported = Mapping[str, float]
"""By when an id had been reported to us, in seconds by the cluster's clock."""


def squeue_command(ids: Iterable[str]) -> list[str]:
    """Those of these jobs that are ours and that the queue shows, ended ones included."""
    return [
        *(*_CLOCK, "SLURM_BITSTR_LEN=0", "squeue", "--me", "--noheader", "--states=all"),
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
    return _by_id(lines, _queue_line, ids) if answered(exit_code, stderr) else None


def restart_command(numbers: Iterable[str]) -> list[str]:
    """How often Slurm requeued these jobs."""
    return [
        *("squeue", "--me", "--noheader", "--states=all", f"--jobs={','.join(numbers)}"),
        f"--Format={RESTARTS_FORMAT}",
    ]


def read_restarted(lines: Iterable[str]) -> set[str]:
    """The numbers of those jobs that were requeued."""
    rows = [[word.strip() for word in line.split("|")] for line in lines]
    return {row[0] for row in rows if len(row) > 1 and row[1].isdecimal() and row[1] != "0"}


def submitted_later(shown: Shown, reported: Reported) -> set[str]:
    """The numbers of those jobs that were submitted after their id was reported to us."""
    return {
        task.number
        for each, tasks in shown.items()
        for task in tasks
        if task.submitted is not None and task.submitted > reported.get(each, task.submitted)
    }


def without(shown: Shown, numbers: Collection[str]) -> Shown:
    """What is shown, but for these jobs."""
    return {
        each: [task for task in tasks if task.number not in numbers]
        for each, tasks in shown.items()
    }


def sacct_command(ids: Iterable[str]) -> list[str]:
    """What accounting knows of these jobs, also of earlier ones that had the same id."""
    return [
        *(*_CLOCK, "sacct", "--noheader", "--parsable2", "--allocations", "--duplicates"),
        f"--jobs={','.join(ids)}",
        f"--format={ACCOUNTING_FIELDS}",
    ]


def read_accounting(
    exit_code: int,
    lines: Sequence[str],
    stderr: str,
    ids: Iterable[str],
    reported: Reported | None = None,
) -> Shown | None:
    """What sacct shows of each id; None when there is no accounting or no answer.

    Of several jobs that had one id the one counts that had it when it was reported to us, and
    any later one of the same name: that is the same, requeued.
    """
    shown = _by_id(lines, _accounting_line, ids) if answered(exit_code, stderr) else None
    if shown is None:
        return None
    return {each: _ours(tasks, (reported or {}).get(each)) for each, tasks in shown.items()}


def _ours(tasks: Sequence[SeenJob], reported: float | None) -> list[SeenJob]:
    by_native: dict[str, list[SeenJob]] = {}
    for task in tasks:
        by_native.setdefault(task.native_id, []).append(task)
    found = []
    for records in by_native.values():
        names = {
            each.name
            for each in records
            if reported is None or each.submitted is None or each.submitted <= reported
        }
        found += [each for each in records if each.name in names][-1:]
    return found


def _by_id(
    lines: Sequence[str], read: Callable[[str], tuple[set[str], SeenJob]], ids: Iterable[str]
) -> Shown | None:
    """The jobs of each id; None when a line cannot be read. One without columns is skipped."""
    found: dict[str, list[SeenJob]] = {each: [] for each in ids}
    for line in lines:
        if is_noise(line):
            continue
        try:
            names, task = read(line.strip())
        except ValueError:
            return None
        for name in names & found.keys():
            found[name].append(task)
    return found


def _queue_line(line: str) -> tuple[set[str], SeenJob]:
    number, array, index, word, node, submitted, name = line.split("|", 6)
    if not number.isdecimal() or not array.isdecimal():
        raise ValueError(line)
    native = f"{array}_{index}" if index.isdecimal() else number
    return {number, array, native}, _job(native, name, word, node, number, submitted)


def _accounting_line(line: str) -> tuple[set[str], SeenJob]:
    number, native, word, code, node, submitted, name = line.split("|", 6)
    if not number.isdecimal():
        raise ValueError(line)
    names = {number, native, native.partition("_")[0]}
    return names, _job(native, name, word, node, number, submitted, exit_code_of(code))


def _job(
    native: str, name: str, word: str, node: str, number: str, at: str, code: int | None = None
) -> SeenJob:
    submitted = float(at) if at.isdecimal() else None
    return SeenJob(native, name, slurm_state(word), word, "", node, code, number, submitted)
