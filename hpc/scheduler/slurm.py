"""Slurm as text: its commands, and what their answers mean.

Answers are read with suspicion: a line that cannot be read makes the answer incomplete,
and an incomplete answer never shows that a job is absent.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hpc.scheduler.refusals import SubmitOutcome, answered, classify
from hpc.scheduler.states import JobState, slurm_state
from hpc.scheduler.text import MAX_CHARACTERS, on_one_line

QUEUE_FORMAT = "%F|%K|%T|%j|%N|%r"
"""Of squeue: array job, tasks, state, name, nodes, reason."""

ACCOUNTING_FIELDS = "JobID,JobName,State,ExitCode,NodeList"

_TASKS = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
_ARRAY_ID = re.compile(r"(\d+)(?:_(?:(\d+)|\[([\d,:-]+)(?:%\d+)?\]))?")
_SUBMITTED = re.compile(r"(\d+)(?:;[\w.-]+)?")


@dataclass(frozen=True)
class SubmitResult:
    """What became of one batch. `others` are further jobs under its name: duplicates."""

    outcome: SubmitOutcome
    job_id: str = ""
    why: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One native job as a scheduler shows it: `<array>_<index>`, or the bare id of a single."""

    native_id: str
    name: str
    state: JobState
    word: str
    reason: str = ""
    node: str = ""
    exit_code: int | None = None

    @property
    def label(self) -> str:
        """Its id, and the node it was on, in words."""
        return f"job {self.native_id}{f' on {self.node}' if self.node else ''}"


@dataclass(frozen=True)
class SchedulerAnswer:
    """The tasks an answer shows; absence counts only in one that is complete."""

    tasks: tuple[Task, ...]
    complete: bool = True
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """What a controller allows, from `scontrol show config`; seconds and counts.

    `max_array` 0: it takes no arrays at all.
    """

    version: str = ""
    max_array: int = 1001
    max_jobs: int = 10_000
    min_job_age_s: int = 300
    message_timeout_s: int = 10

    @property
    def largest_array(self) -> int:
        """The tasks an array may have: every one counts as a job. 0: no arrays."""
        return min(self.max_array, max(1, self.max_jobs - 1))


def sbatch_command(key: str) -> list[str]:
    """The submission, to be run in the batch's folder; the name is the key to find it by."""
    return ["sbatch", "--parsable", f"--job-name={key}", f"--comment={key}", "job.sh"]


def read_submission(exit_code: int | None, stdout: str, stderr: str) -> SubmitResult:
    """What became of a submission. An id counts even when the exit code is not 0: it exists."""
    for line in reversed(stdout.splitlines()):
        found = _SUBMITTED.fullmatch(line.strip())
        if found:
            return SubmitResult(SubmitOutcome.KNOWN, found[1])
    text = f"{stderr}\n{stdout}"
    why = on_one_line(text)[-MAX_CHARACTERS:] or f"no answer, exit code {exit_code}"
    outcome = SubmitOutcome.UNKNOWN if exit_code in (0, None) else classify(text)
    return SubmitResult(outcome, why=why)


def squeue_by_key_command(key: str) -> list[str]:
    """The ids of every job of a name, for the shell script that submits."""
    return ["squeue", "--me", "--noheader", "--states=all", f"--name={key}", "--format=%F"]


def sacct_by_key_command(key: str) -> list[str]:
    """The same from accounting, for jobs that the queue shows no more."""
    return [*sacct_command([key])[:-1], "--format=JobID"]


def squeue_command(names: Iterable[str]) -> list[str]:
    """Asks for every job of these names, ended ones included while Slurm shows them.

    Slurm cuts a list of array tasks at 64 characters by default.
    """
    return [
        *("env", "SLURM_BITSTR_LEN=0"),
        *("squeue", "--me", "--noheader", "--states=all"),
        f"--name={','.join(names)}",
        f"--format={QUEUE_FORMAT}",
    ]


def read_queue(
    exit_code: int, lines: Sequence[str], stderr: str, names: Collection[str] = ()
) -> SchedulerAnswer | None:
    """The tasks squeue shows; None when it gave no information.

    A name that is none of `names` is a line cut short.
    """
    return _collect(lines, _queue_tasks, names) if answered(exit_code, stderr) else None


def _queue_tasks(line: str) -> list[Task]:
    array, tasks, word, name, node, reason = line.split("|", 5)
    if not array.isdecimal():
        raise ValueError(line)
    single = tasks in ("N/A", "")
    natives = [array] if single else [f"{array}_{index}" for index in expand(tasks)]
    return [
        Task(native, name, slurm_state(word), word, reason=reason, node=node) for native in natives
    ]


def expand(tasks: str) -> list[int]:
    """The indices of `5,7,9-20:2%4`. Raises ValueError for a list cut short by `...`."""
    indices: list[int] = []
    for part in tasks.partition("%")[0].split(","):
        found = _TASKS.fullmatch(part)
        if found is None:
            raise ValueError(f"'{tasks}' is not a list of array tasks")
        first, last, step = int(found[1]), int(found[2] or found[1]), int(found[3] or 1)
        indices += range(first, last + 1, step)
    return indices


def sacct_command(names: Iterable[str], days: int = 30) -> list[str]:
    """What accounting knows of these names, however long ago they ended."""
    return [
        *("sacct", "--noheader", "--parsable2", "--allocations"),
        f"--starttime=now-{days}days",
        f"--name={','.join(names)}",
        f"--format={ACCOUNTING_FIELDS}",
    ]


def read_accounting(
    exit_code: int, lines: Sequence[str], stderr: str, names: Collection[str] = ()
) -> SchedulerAnswer | None:
    """The tasks sacct shows; None when there is no accounting or no answer."""
    return _collect(lines, _accounting_tasks, names) if answered(exit_code, stderr) else None


def _accounting_tasks(line: str) -> list[Task]:
    job_id, name, word, code, node = line.split("|", 4)
    found = _ARRAY_ID.fullmatch(job_id)
    if found is None:
        raise ValueError(line)
    indices = expand(found[3]) if found[3] else [int(found[2])] if found[2] else None
    natives = [found[1]] if indices is None else [f"{found[1]}_{index}" for index in indices]
    state, value = slurm_state(word), exit_code_of(code)
    return [Task(n, name, state, word, node=node, exit_code=value) for n in natives]


def exit_code_of(text: str) -> int:
    """The exit code in `CODE:SIGNAL`, as a shell reports it. Raises ValueError."""
    code, _, by_signal = text.partition(":")
    return 128 + int(by_signal) if by_signal not in ("", "0") else int(code)


def read_limits(lines: Iterable[str]) -> Limits:
    """The limits in `scontrol show config`; a setting that is missing keeps its default."""
    settings: dict[str, str] = {}
    for line in lines:
        key, separator, value = line.partition("=")
        if separator and re.fullmatch(r"\s*[A-Za-z][\w()./-]*\s*", key):
            settings[key.strip()] = value.strip()
    return Limits(
        version=settings.get("SLURM_VERSION", ""),
        max_array=_number(settings, "MaxArraySize", Limits.max_array),
        max_jobs=_number(settings, "MaxJobCount", Limits.max_jobs),
        min_job_age_s=_number(settings, "MinJobAge", Limits.min_job_age_s),
        message_timeout_s=_number(settings, "MessageTimeout", Limits.message_timeout_s),
    )


def _number(settings: dict[str, str], name: str, default: int) -> int:
    found = re.match(r"\d+", settings.get(name, ""))
    return int(found[0]) if found else default


def shown_alive(answer: SchedulerAnswer, jobs: Mapping[str, Collection[str]]) -> list[str]:
    """Those of these jobs, by the name they were given, that are there under that name."""
    return [
        task.native_id
        for task in answer.tasks
        if task.state.alive
        and {task.native_id, task.native_id.partition("_")[0]} & set(jobs.get(task.name, ()))
    ]


def scancel_command(native_ids: Iterable[str]) -> list[str]:
    """One command that ends all of them: the tasks of an array in one bracket."""
    arrays: dict[str, list[int]] = {}
    singles = []
    for native in native_ids:
        array, _, index = native.partition("_")
        if index:
            arrays.setdefault(array, []).append(int(index))
        else:
            singles.append(array)
    brackets = [f"{array}_[{_ranges(tasks)}]" for array, tasks in arrays.items()]
    return ["scancel", *singles, *brackets]


def _ranges(indices: Iterable[int]) -> str:
    """`3,7-9` from any order and any repetition."""
    runs: list[list[int]] = []
    for index in sorted(set(indices)):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def is_noise(line: str) -> bool:
    """Whether a line is none of an answer's: every row has columns, or begins with an id."""
    return "|" not in line and not line.strip()[:1].isdecimal()


def _collect(
    lines: Sequence[str], read: Callable[[str], list[Task]], names: Collection[str]
) -> SchedulerAnswer:
    tasks: list[Task] = []
    unreadable: list[str] = []
    for line in lines:
        if is_noise(line):
            continue
        try:
            found = read(line.strip())
        except ValueError:
            unreadable.append(line)
            continue
        if names and any(task.name not in names for task in found):
            unreadable.append(line)
            continue
        tasks += found
    return SchedulerAnswer(tuple(tasks), not unreadable, tuple(unreadable))
