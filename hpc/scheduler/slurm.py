"""Slurm as text: the batch script, the commands that ask, and what their answers say.

Answers are read with suspicion: a line that cannot be read makes the answer incomplete,
and an incomplete answer never shows that a job is absent.
"""

import re
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hpc.scheduler.prelude import prelude_lines
from hpc.scheduler.refusals import Complaint, answered, classify, on_one_line
from hpc.scheduler.states import JobState, slurm_state
from schemas.pipeline.model import Resources

QUEUE_FORMAT = "%F|%K|%T|%j|%N|%r"
"""Of squeue: array job, tasks, state, name, nodes, reason."""

ACCOUNTING_FIELDS = "JobID,JobName,State,ExitCode,NodeList"
SIGNAL_LEAD_S = 90
LONGEST_WORD = 500
"""Characters kept of what was said instead of an id; the last ones, where the answer is."""

_TASKS = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
_ARRAY_ID = re.compile(r"(\d+)(?:_(?:(\d+)|\[([\d,:-]+)(?:%\d+)?\]))?")
_SUBMITTED = re.compile(r"(\d+)(?:;[\w.-]+)?")
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class ArraySpec:
    """One array to submit: task `i` runs line `i` of the manifest in its folder.

    `runner` is relative to the batch's folder, `throttle` the most tasks at a time, `prelude`
    the site's, run before. `alone` is one job that is no array, for a cluster that takes none.
    """

    key: str
    size: int
    python: str
    runner: str
    resources: Resources
    throttle: int | None = None
    exclude: tuple[str, ...] = ()
    prelude: str = ""
    alone: bool = False


@dataclass(frozen=True)
class Accepted:
    """Slurm took it; its array job id."""

    job_id: str


@dataclass(frozen=True)
class Declined:
    """No id came back. `complaint` says whether it may exist all the same."""

    complaint: Complaint
    why: str


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
class Answer:
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
    accounting: bool = True
    settings: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def largest_array(self) -> int:
        """The tasks an array may have: every one counts as a job. 0: no arrays."""
        return min(self.max_array, max(1, self.max_jobs - 1))


def render(spec: ArraySpec) -> str:
    """The batch script of an array, to be submitted from within its folder.

    It hands signals on to the runner and leaves the exit code of each task in
    `ended/<native id>`: evidence of an end where there is no accounting.
    """
    options = "\n".join(f"#SBATCH {option}" for option in _options(spec))
    return _SCRIPT.format(
        options=options,
        prelude=prelude_lines(spec.prelude),
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
runner=$!
trap 'kill -USR1 "$runner" 2>/dev/null' USR1
trap 'kill -TERM "$runner" 2>/dev/null' TERM
while :; do
    wait "$runner"
    code=$?
    kill -0 "$runner" 2>/dev/null || break
done
mkdir -p ended && printf '%s\\n' "$code" >"ended/.$native" && mv "ended/.$native" "ended/$native"
log="log/slurm-$native.out"
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
        "time": _clock(asked.time_s),
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


def _clock(seconds: int | None) -> str | None:
    if not seconds:
        return None
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _signal(time_s: int | None) -> str | None:
    """Shortly before the limit; Slurm may send it a minute early, so never in short jobs."""
    if time_s is not None and time_s <= 120:
        return None
    lead = SIGNAL_LEAD_S if time_s is None else min(SIGNAL_LEAD_S, time_s // 6)
    return f"B:USR1@{lead}"


def sbatch_command(key: str) -> list[str]:
    """The submission, to be run in the batch's folder; the name is the key to find it by."""
    return ["sbatch", "--parsable", f"--job-name={key}", f"--comment={key}", "job.sh"]


def read_submission(exit_code: int | None, stdout: str, stderr: str) -> Accepted | Declined:
    """What became of a submission. An id counts even when the exit code is not 0: it exists."""
    for line in reversed(stdout.splitlines()):
        found = _SUBMITTED.fullmatch(line.strip())
        if found:
            return Accepted(found[1])
    said = f"{stderr}\n{stdout}"
    why = on_one_line(said)[-LONGEST_WORD:] or f"no answer, exit code {exit_code}"
    if exit_code in (0, None):
        return Declined(Complaint.AMBIGUOUS, why)
    return Declined(classify(said), why)


def squeue_by_key_command(key: str) -> list[str]:
    """The ids of every job of a name, for the shell script that submits."""
    return ["squeue", "--me", "--noheader", "--states=all", f"--name={key}", "--format=%F"]


def sacct_by_key_command(key: str) -> list[str]:
    """The same from accounting, for jobs that the queue shows no more."""
    return [*sacct_command([key])[:-1], "--format=JobID"]


def squeue_command(names: Iterable[str]) -> list[str]:
    """One look at every job of these names, ended ones included while Slurm shows them.

    Slurm cuts a list of array tasks at 64 characters unless told otherwise.
    """
    return [
        *("env", "SLURM_BITSTR_LEN=0"),
        *("squeue", "--me", "--noheader", "--states=all"),
        f"--name={','.join(names)}",
        f"--format={QUEUE_FORMAT}",
    ]


def read_queue(
    exit_code: int, lines: Sequence[str], stderr: str, names: Collection[str] = ()
) -> Answer | None:
    """The tasks squeue shows; None when it gave no information.

    A name that is none of `names` is a line cut short.
    """
    if not answered(exit_code, stderr):
        return None
    return _collect(lines, _queue_tasks, names)


def _queue_tasks(line: str) -> list[Task]:
    array, tasks, word, name, node, reason = line.split("|", 5)
    if not array.isdecimal():
        raise ValueError(line)
    return [
        Task(native, name, slurm_state(word), word, reason=reason, node=node)
        for native in _natives(array, tasks)
    ]


def _natives(array: str, tasks: str) -> list[str]:
    if tasks in ("N/A", ""):
        return [array]
    return [f"{array}_{index}" for index in expand(tasks)]


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
) -> Answer | None:
    """The tasks sacct shows; None when there is no accounting or no answer."""
    if not answered(exit_code, stderr):
        return None
    return _collect(lines, _accounting_tasks, names)


def _accounting_tasks(line: str) -> list[Task]:
    job_id, name, word, code, node = line.split("|", 4)
    found = _ARRAY_ID.fullmatch(job_id)
    if found is None:
        raise ValueError(line)
    indices = expand(found[3]) if found[3] else [int(found[2])] if found[2] else None
    natives = [found[1]] if indices is None else [f"{found[1]}_{index}" for index in indices]
    exit_code, _, by_signal = code.partition(":")
    value = 128 + int(by_signal) if by_signal not in ("", "0") else int(exit_code)
    state = slurm_state(word)
    return [Task(n, name, state, word, node=node, exit_code=value) for n in natives]


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
        accounting="none" not in settings.get("AccountingStorageType", "").lower(),
        settings=settings,
    )


def _number(settings: dict[str, str], name: str, default: int) -> int:
    found = re.match(r"\d+", settings.get(name, ""))
    return int(found[0]) if found else default


def shown_alive(answer: Answer, jobs: Mapping[str, Collection[str]]) -> list[str]:
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
) -> Answer:
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
    return Answer(tuple(tasks), not unreadable, tuple(unreadable))
