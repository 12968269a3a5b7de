"""LSF as text.

The functions are those that `hpc/scheduler/text.py` describes. No LSF was there to run them: its
options, formats and texts of errors are from its documents (9.1 to 10.1) and from what users
recorded.

- `bjobs -o` is asked for columns; a `bjobs` that does not know them is asked once more for its
  wide listing, which has no exit codes. Both are read.
- An array's task is `123[4]`; LSF counts from 1, the manifest's lines from 0.
- Ended jobs are forgotten after CLEAN_PERIOD, an hour by default. What `ended/` says is the truth;
  what is read here says why.
- Commands are given up when LSF does not answer (`LSB_NTRIES=1`), for they would wait for ever.
"""

import re
from typing import Dict, List, Optional, Sequence

from hpc.scheduler.text import (
    CANCELLED,
    COMPLETED,
    FAILED,
    FULL,
    KNOWN,
    OUT_OF_MEMORY,
    PENDING,
    PREEMPTED,
    REFUSED,
    RUNNING,
    TIMEOUT,
    UNKNOWN,
    UNKNOWN_STATE,
    JobSpec,
    NativeTask,
    Status,
    Submission,
    checked,
    failed_submission,
    first_meaning,
    task_script,
    throttled,
)

LONGEST_NAME = 64
"""Characters of a name that no listing of LSF cuts short."""

WARNING_MIN = 2
"""Minutes before its limit at which a job is told of it, unless that is a fifth of its time."""

_STATES = {
    "DONE": COMPLETED,
    "EXIT": FAILED,
    "PEND": PENDING,
    "PROV": RUNNING,
    "PSUSP": PENDING,
    "RUN": RUNNING,
    "SSUSP": RUNNING,
    "UNKWN": UNKNOWN_STATE,
    "USUSP": RUNNING,
    "WAIT": PENDING,
    "ZOMBI": UNKNOWN_STATE,
}
"""What `stat` means; EXIT is looked at more closely. UNKWN and ZOMBI: its node is silent."""

_REASONS = (
    (re.compile(r"TERM_(RUNLIMIT|CPULIMIT|DEADLINE)"), TIMEOUT),
    (re.compile(r"TERM_(MEMLIMIT|SWAP)"), OUT_OF_MEMORY),
    (re.compile(r"TERM_(PREEMPT|REQUEUE|WINDOW|LOAD|RC_)"), PREEMPTED),
    (re.compile(r"TERM_(FORCE_)?(OWNER|ADMIN)|TERM_BUCKET_KILL|TERM_REMOVE"), CANCELLED),
)
"""What LSF says of the end of a job that it ended itself."""

_NEAR_LIMIT = (128 + 10, 128 + 12)
"""Exit codes of SIGUSR1, our warning of the limit, and SIGUSR2, which LSF sends at the limit."""

_MEANINGS = (
    (
        re.compile(
            r"lsf is down|not responding|cannot connect|not connected|connect call|"
            r"unable to (contact|connect|reach)|connection (refused|reset|closed|aborted)|"
            r"time(d)? ?out|communication|lsf library call|internal error|protocol error|"
            r"encode/decode|end of file|system call failed|is in progress|process died|"
            r"no route to host|is unreachable|name or service not known|broken pipe"
        ),
        UNKNOWN,
    ),
    (
        re.compile(
            r"job threshold|(job|pending|slot) limit|enough .*job slots|currently eligible|"
            r"maximum number of|too many (pending )?jobs|queue has been closed|windows are closed"
        ),
        FULL,
    ),
    (
        re.compile(
            r"no such (queue|application|project)|too (many|few) processors|cannot exceed|"
            r"bad (resource|job|host|queue|cpu|limit|argument|time)|error (near|in|with) |"
            r"invalid|illegal|array index|queue name must|cannot be used in|usage:"
        ),
        REFUSED,
    ),
    (
        re.compile(
            r"job not submitted|permission denied|not found|no such file|quota exceeded|"
            r"no space left|read-only file system|cannot allocate|rejected"
        ),
        FULL,
    ),
)
"""Doubt first, then what a limit is, then what the job has asked for; and any other refusal,
of LSF's, of the site's `esub` or of the login node's, is the site's own."""

_MORE_SIGNALS = """\
trap 'kill -USR1 "$runner" 2>/dev/null' USR2
trap 'kill -TERM "$runner" 2>/dev/null' INT
"""

_SUBMITTED = re.compile(r"Job <(\d+)> is submitted")
_ABSENT = re.compile(r"is not found|no (\w+ )?jobs? found|no matching job", re.I)
_WIDE = re.compile(r"(\d+)\s+\S+\s+([A-Z]+)\s+(.+?)\s+[A-Z][a-z]{2}\s+\d+\s+[\d:]+(?:\s+\d+)?")


def job_script(spec: JobSpec) -> str:
    """The script of an array's task, or of a single job. Raises ValueError.

    LSF's signals reach the runner too: SIGUSR2, of a time limit, is kept from it, for what we
    tell it then is SIGUSR1. To a job that is cancelled LSF sends SIGINT before SIGTERM.
    """
    return task_script(
        checked(spec, LONGEST_NAME),
        "lsf",
        native='"$LSB_JOBID"' if spec.alone else '"${LSB_JOBID}[${LSB_JOBINDEX}]"',
        index='"$((LSB_JOBINDEX - 1))"',
        before="trap '' USR2\n",
        after=_MORE_SIGNALS,
    )


def submit_command(spec: JobSpec) -> List[str]:
    """`bsub` with all that is asked for. Raises ValueError."""
    checked(spec, LONGEST_NAME)
    array = "" if spec.alone else f"[1-{spec.size}]{throttled(spec)}"
    output = "log/lsf-%J.report" if spec.alone else "log/lsf-%J-%I.report"
    return [
        *("env", "LSB_NTRIES=1", "bsub", "-rn", "-J", f"{spec.key}{array}", "-o", output),
        *_wishes(spec),
        *("/bin/sh", "job.sh"),
    ]


def _wishes(spec: JobSpec) -> List[str]:
    minutes = -(-(spec.time_s or 0) // 60)
    warned = minutes >= 5 * WARNING_MIN
    memory = f"{spec.mem_mb}MB" if spec.mem_mb else ""
    options = {
        "-q": spec.queue,
        "-P": spec.account,
        "-n": spec.cpus and str(spec.cpus),
        "-W": str(minutes) if minutes else None,
        "-wt": str(WARNING_MIN) if warned else None,
        "-wa": "USR1" if warned else None,
        "-M": memory,
        "-gpu": f"num={spec.gpus}" if spec.gpus else None,
        "-R": "span[hosts=1]" + (f" rusage[mem={memory}]" if memory else ""),
    }
    return [word for option, value in options.items() if value for word in (option, value)]


def read_submission(code: Optional[int], out: str, err: str) -> Submission:
    """What became of a submission. An id counts even when the exit code is not 0: it exists."""
    found = _SUBMITTED.search(f"{out}\n{err}")
    if found:
        return Submission(KNOWN, found.group(1))
    text = f"{err}\n{out}"
    return failed_submission(first_meaning(text, _MEANINGS), code, text)


_ASK = """\
export LSB_NTRIES=1
columns="jobid jobindex stat exit_code exec_host job_name exit_reason delimiter='|'"
bjobs -a -noheader -o "$columns" "$@" || exec bjobs -a -w "$@"
"""


def find_command(key: str) -> List[str]:
    """Asks for the jobs and arrays of this name, ended ones too while LSF remembers them."""
    return ["/bin/sh", "-c", _ASK, "bjobs", "-J", key]


def read_found(code: Optional[int], out: str, err: str, key: str) -> Optional[List[str]]:
    """The ids of the jobs or arrays of this name; None for an answer that proves nothing."""
    status = read_status(code, out, err)
    if not status.complete:
        return None
    return sorted({task.native_id.partition("[")[0] for task in status.tasks if task.key == key})


def status_command(job_ids: Sequence[str]) -> List[str]:
    """Asks for these jobs and arrays, task by task."""
    return ["/bin/sh", "-c", _ASK, "bjobs", *job_ids]


def cancel_command(job_ids: Sequence[str]) -> List[str]:
    """`bkill`; its code is not 0 either for a job that has ended before."""
    return ["env", "LSB_NTRIES=1", "bkill", *job_ids]


def read_status(code: Optional[int], out: str, err: str) -> Status:
    """The tasks that `bjobs` shows. An id that it does not know is no error."""
    said = f"{out}\n{err}"
    silent = first_meaning(err, _MEANINGS[:1], otherwise=KNOWN) == UNKNOWN
    complete = (code == 0 or _ABSENT.search(said) is not None) and code is not None and not silent
    tasks: Dict[str, NativeTask] = {}
    if out and not out.endswith("\n"):
        out, complete = out[: out.rfind("\n") + 1], False
    for line in out.splitlines():
        if not line.strip() or line.startswith("JOBID") or _ABSENT.search(line):
            continue
        task = _row(line.strip()) or _wide_row(line.strip())
        if task is None:
            complete = False
        else:
            tasks.setdefault(task.native_id, task)
    return Status(list(tasks.values()), complete)


def _row(line: str) -> Optional[NativeTask]:
    """A line of the columns that were asked for; None for any other."""
    columns = [column.strip() for column in line.split("|", 6)]
    if len(columns) < 7 or not (columns[0].isdigit() and columns[1].isdigit() and columns[5]):
        return None
    job, index, word, code, hosts, name, reason = ("" if c == "-" else c for c in columns)
    return _task(job, int(index), word, hosts, name, code, reason)


def _wide_row(line: str) -> Optional[NativeTask]:
    """A line of the wide listing; None for any other. Its host is missing before it runs."""
    found = _WIDE.fullmatch(line)
    words = found.group(3).split() if found else []
    if found is None or len(words) < 3:
        return None
    name = re.fullmatch(r"[^\[]*(?:\[(\d+)\])?", words[-1])
    index = int(name.group(1) or 0) if name else 0
    hosts = words[2] if len(words) > 3 else ""
    return _task(found.group(1), index, found.group(2), hosts, words[-1])


def _task(
    job: str, index: int, word: str, hosts: str, name: str, code: str = "", reason: str = ""
) -> NativeTask:
    exit_code = int(code) if code.isdigit() else None
    return NativeTask(
        native_id=f"{job}[{index}]" if index else job,
        key=name.partition("[")[0],
        index=index - 1 if index else None,
        state=_state(word, exit_code, reason),
        word=word,
        exit_code=0 if word == "DONE" else exit_code,
        node="" if hosts == "-" else hosts.split(":")[0].rpartition("*")[2],
        reason=reason,
    )


def _state(word: str, code: Optional[int], reason: str) -> str:
    """What a state means; of a job that ended badly, LSF's own reason comes first."""
    state = _STATES.get(word, UNKNOWN_STATE)
    if state != FAILED:
        return state
    said = next((meaning for pattern, meaning in _REASONS if pattern.search(reason)), FAILED)
    return TIMEOUT if said == FAILED and code in _NEAR_LIMIT else said
