"""What the schedulers an agent can submit to have in common: their interface and its types.

Each is a module of these functions, chosen by its name. None of them does anything but read and
write text. `code` is an exit code, None for a program that was killed or gave none in time; `out`
and `err` are all that it printed, as it was: a last line without its end is taken for cut off.

    job_script(spec: JobSpec) -> str
        The whole text of `job.sh`, to be submitted from within its batch's folder.
    submit_command(spec: JobSpec) -> List[str]
        The words that submit it, run in that folder.
    read_submission(code: Optional[int], out: str, err: str) -> Submission
        What became of the submission.
    find_command(key: str) -> List[str]
        Asks for the jobs of a name, before anything is submitted a second time.
    read_found(code: Optional[int], out: str, err: str, key: str) -> Optional[List[str]]
        Their ids; None for an answer that proves nothing.
    status_command(job_ids: Sequence[str]) -> List[str]
        Asks for all of these jobs, or arrays, at once.
    read_status(code: Optional[int], out: str, err: str) -> Status
        What the answer shows. It may show jobs of others too: look at each task's `key`.
    cancel_command(job_ids: Sequence[str]) -> List[str]
        Ends these jobs, arrays, or tasks of an array.

`job_script` and `submit_command` raise ValueError for a name that the scheduler cannot have.

This file and those modules are copied to clusters and run by the Python found there: no more
than Python 3.6, its standard library, and this file.
"""

import re
import shlex
from typing import List, NamedTuple, Optional, Pattern, Sequence, Tuple

PENDING = "pending"
RUNNING = "running"
COMPLETED = "completed"
FAILED = "failed"
TIMEOUT = "timeout"
OUT_OF_MEMORY = "out_of_memory"
NODE_FAIL = "node_fail"
PREEMPTED = "preempted"
CANCELLED = "cancelled"
UNKNOWN_STATE = "unknown"
"""The words of `hpc/scheduler/states.py`."""

KNOWN = "known"
UNKNOWN = "unknown"
REFUSED = "refused"
FULL = "full"
"""What is known of a submission: the outcomes of a `Submission`."""

MAX_CHARACTERS = 500
"""Characters kept of what was printed instead of an id; the last ones, where the answer is."""


class JobSpec(NamedTuple):
    """One array to submit: task `i` runs line `i` of the manifest in its `folder`.

    `runner` is relative to the folder, `time_s` in seconds, `mem_mb` in MiB of the whole job,
    `throttle` the most tasks at a time, `prelude` the site's shell text, run before. `alone`: one
    job that is no array, for a cluster that takes none.
    """

    key: str
    size: int
    python: str
    runner: str
    folder: str
    time_s: Optional[int] = None
    mem_mb: Optional[int] = None
    cpus: Optional[int] = None
    gpus: Optional[int] = None
    queue: Optional[str] = None
    account: Optional[str] = None
    throttle: Optional[int] = None
    alone: bool = False
    prelude: str = ""


class Submission(NamedTuple):
    """What became of a submission, and `why` if it has no `job_id`.

    `known`: it has an id. `unknown`: the job may exist, so it is looked for by its name before
    anything else. `refused`: wrong as it is written, and the same again fails again. `full`: no
    job exists and it is not the job's fault, for the queue is at a limit or the site takes
    nothing of ours now; the same again later.
    """

    outcome: str
    job_id: str = ""
    why: str = ""


class NativeTask(NamedTuple):
    """One job as a scheduler shows it: a task of an array, or a single job.

    `key` is the name it was submitted under, `index` the line of the manifest it runs if it is
    known, `word` the scheduler's own state, `exit_code` as a shell gives it.
    """

    native_id: str
    key: str
    index: Optional[int]  # type: ignore[assignment]  # a tuple's own `index` is not missed
    state: str
    word: str
    exit_code: Optional[int] = None
    node: str = ""
    reason: str = ""


class Status(NamedTuple):
    """The tasks an answer shows; that a job is not among them counts only if it is `complete`."""

    tasks: List[NativeTask]
    complete: bool


def first_meaning(
    text: str, meanings: Sequence[Tuple[Pattern[str], str]], otherwise: str = UNKNOWN
) -> str:
    """The outcome of the first pattern found in a text, which is looked at in lower case."""
    plain = on_one_line(text).lower()
    return next((outcome for pattern, outcome in meanings if pattern.search(plain)), otherwise)


def failed_submission(outcome: str, code: Optional[int], text: str) -> Submission:
    """A submission without an id. One whose program ended well, or was killed, is in doubt."""
    why = on_one_line(text)[-MAX_CHARACTERS:] or f"no answer, exit code {code}"
    return Submission(UNKNOWN if code in (0, None) else outcome, why=why)


_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


def on_one_line(text: str) -> str:
    """A text without colours and line breaks."""
    return " ".join(_COLOURS.sub("", text).split())


def clock(seconds: int) -> str:
    """Seconds as hours, minutes and seconds: `00:05:00`."""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def prelude_lines(prelude: str) -> str:
    """What to put before a script of ours, on the login node or in a job; nothing for none.

    The prelude is the site's own shell text. What it prints is thrown away, and what it sets
    stays, but for `set -e` and `set -u`, which would end a script that does not expect them.
    """
    if not prelude.strip():
        return ""
    return f"{{ {prelude}\n}} >/dev/null 2>&1 </dev/null\nset +eu\n"


WAIT_AND_KEEP_CODE = """\
runner=$!
trap 'kill -USR1 "$runner" 2>/dev/null' USR1
trap 'kill -TERM "$runner" 2>/dev/null' TERM
while :; do
    wait "$runner"
    code=$?
    kill -0 "$runner" 2>/dev/null || break
done
mkdir -p ended && printf '%s\\n' "$code" >"ended/.$native" && mv "ended/.$native" "ended/$native"
"""
"""Hands signals on to the runner that was just started, and leaves its exit code in
`ended/<native id>`, whole or not at all: evidence of an end, whatever the scheduler forgets."""

_TASK = """\
#!/bin/sh
{prelude}cd {folder} || exit 1
native={native}
log="log/{name}-$native.out"
mkdir -p log && exec >>"$log" 2>&1
{before}{python} {runner} --batch . --index {index} --native-id "$native" &
{after}{wait}[ -s "$log" ] || rm -f "$log"
exit "$code"
"""


def task_script(
    spec: JobSpec, name: str, native: str, index: str, before: str = "", after: str = ""
) -> str:
    """The script of a job or of each task of an array.

    `native` and `index` are shell words that give the task's own id and its line, `before` and
    `after` lines around the start of the runner, `name` is the scheduler's, for the log. The
    script writes its log itself: a scheduler that brings it at the end may lose it.
    """
    return _TASK.format(
        folder=shlex.quote(spec.folder),
        prelude=prelude_lines(spec.prelude),
        native=native,
        name=name,
        before=before,
        after=after,
        wait=WAIT_AND_KEEP_CODE,
        python=shlex.quote(spec.python),
        runner=shlex.quote(spec.runner),
        index="0" if spec.alone else index,
    )


_WORD = re.compile(r"[A-Za-z0-9][\w.@:/+-]*")


def checked(spec: JobSpec, longest_name: int) -> JobSpec:
    """The same, if its names may be words of a command. Raises ValueError.

    Some programs hand their words on to a shell, so nothing odd may be among them.
    """
    if len(spec.key) > longest_name:
        raise ValueError(f"the name '{spec.key}' has more than {longest_name} characters")
    for what, word in (("name", spec.key), ("queue", spec.queue), ("account", spec.account)):
        if word is not None and not _WORD.fullmatch(word):
            raise ValueError(f"'{word}' cannot be a {what}")
    return spec


def throttled(spec: JobSpec) -> str:
    """What limits the tasks at a time, behind an array's indices; nothing if nothing does."""
    return f"%{spec.throttle}" if spec.throttle and spec.throttle < spec.size else ""


def as_shell_code(code: int) -> int:
    """An exit code as a shell gives it, where 256 and a number mean that signal."""
    return 128 + code - 256 if code > 256 else code
