"""TORQUE as text, PBS where it is the same, and `qsub` and its kin as Slurm's wrappers have them.

The functions are those that `hpc/scheduler/text.py` describes. What was run: all of it with
Slurm's wrappers (`slurm-wlm-torque` 22.05). Of TORQUE (4 to 6) and PBS Pro the texts of errors,
the options and the formats of `qstat` are from their documents and sources, and were not run.

- TORQUE prints XML for `qstat -x`, one document for each id; its `-f -t` is one job with a line
  for each attribute, folded with tabs. PBS Pro understands `-x` as "ended jobs too" and prints
  lines. The wrappers know neither `-x` nor `-t`, say so with code 2, and list an array's task
  only under its own number; they are asked for the whole queue instead. All three are read.
- An array is `123[].server`, its task `123[4].server` and, in TORQUE, named `<name>-4`.
- Arrays are submitted with `-t`, which PBS Pro does not have: there, a batch must be `alone`.
- All is asked for on the command line, where every `qsub` reads it: the wrappers ignore `#PBS -o`.

An array's task that has ended may be forgotten at once. What `ended/` says is the truth; what
is read here says why.
"""

import re
import xml.etree.ElementTree as ElementTree
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from hpc.scheduler.text import (
    CANCELLED,
    COMPLETED,
    FAILED,
    FULL,
    KNOWN,
    NODE_FAIL,
    OUT_OF_MEMORY,
    PENDING,
    REFUSED,
    RUNNING,
    TIMEOUT,
    UNKNOWN,
    UNKNOWN_STATE,
    JobSpec,
    NativeTask,
    Status,
    Submission,
    as_shell_code,
    checked,
    clock,
    failed_submission,
    first_meaning,
    task_script,
    throttled,
)

LONGEST_NAME = 15
"""Characters that TORQUE allows a name."""

_STATES = {
    "B": RUNNING,  # an array of PBS Pro that has begun
    "C": COMPLETED,
    "E": RUNNING,
    "F": COMPLETED,
    "H": PENDING,
    "Q": PENDING,
    "R": RUNNING,
    "S": RUNNING,
    "T": PENDING,
    "W": PENDING,
    "X": COMPLETED,  # a task of an array of PBS Pro
}
"""What `job_state` means; an ended job is looked at more closely."""

_TORQUE_ENDS = {
    -3: NODE_FAIL,
    -4: NODE_FAIL,
    -5: NODE_FAIL,
    -6: NODE_FAIL,
    -7: NODE_FAIL,
    -10: OUT_OF_MEMORY,
    -11: TIMEOUT,
    -12: TIMEOUT,
    -13: NODE_FAIL,
    -14: NODE_FAIL,
}
"""Negative codes of `exit_status`, as TORQUE spells it; any other: the job could not be started."""

_PBS_ENDS = {-26: OUT_OF_MEMORY, -27: OUT_OF_MEMORY, -28: TIMEOUT, -29: TIMEOUT}
"""Those of `Exit_status`, as PBS Pro spells it."""

_KILLED = (128 + 9, 128 + 15)
"""Exit codes of a job that was ended from outside: for a limit, or by somebody."""

_MEANINGS = (
    (
        re.compile(
            r"timed? ?out|cannot connect|can ?not establish|could not connect|"
            r"connection (refused|reset|closed|aborted)|error in connection|communication failure|"
            r"end of file|premature|protocol|socket|unable to authenticate|internal error|"
            r"system error|no server specified|error (allocating|opening|saving|writing|reading)|"
            r"no route to host|is unreachable|name or service not known|broken pipe|"
            r"unable to contact|zero bytes|munge"
        ),
        UNKNOWN,
    ),
    (
        re.compile(
            r"maximum number of jobs|would exceed|exceeds the (queue|server)? ?limit|too busy|"
            r"server busy|temporarily unavailable|shutting down|queue is (not|currently not)|"
            r"no free connections|too many submit|violates accounting/qos policy|"
            r"required (partition|node) not available|partition in down state"
        ),
        FULL,
    ),
    (
        re.compile(
            r"unknown (queue|resource|node)|no default queue|illegal|undefined attribute|"
            r"cannot set attribute|attribute list|duplicate entry|resource limits|"
            r"limit exceeds allowable|rejected by all possible|bad job array|job arrays|"
            r"does not allow|wrong job type|job dependency|syntax invalid|was invalid|"
            r"unknown option|invalid (option|time limit)|usage:|requested time limit|"
            r"invalid (partition name|feature|qos|license|job array|gres|generic)|"
            r"requested node configuration|memory required|more processors requested"
        ),
        REFUSED,
    ),
    (
        re.compile(
            r"\bqsub: |batch job submission failed|sbatch: error|permission denied|not found|"
            r"no such file|quota exceeded|no space left|read-only file system|cannot allocate"
        ),
        FULL,
    ),
)
"""Doubt first, then what a limit is, then what the job has asked for; and any other refusal,
of the server's or the login node's, is the site's own."""

_SUBMITTED = re.compile(r"\d+(\[\])?(\.[\w.-]+)?")
_JOB_ID = re.compile(r"(\d+)(?:\[(\d*)\])?(?:\..+)?")
_ATTRIBUTE = re.compile(r"(?:\t| +)(\w[\w.]*) = ?(.*)")
_COMPLAINT = re.compile(
    r"^qstat: (?!.*(unknown job id|job has finished|unknown array id))", re.I | re.M
)
_VARIABLES = "Variable_List"
_ANSWERED = (0, 35, 153)
"""Codes of `qstat`: all was shown, a job has ended (PBS Pro), an id is not known."""


def job_script(spec: JobSpec) -> str:
    """The script of an array's task, or of a single job. Raises ValueError.

    A job of TORQUE begins in the home folder. Where Slurm's wrappers stand, its variables of
    PBS are empty unless the cluster has the plugin for them, so Slurm's own are there too.
    """
    return task_script(
        checked(spec, LONGEST_NAME),
        "torque",
        native='"${PBS_JOBID:-$SLURM_JOB_ID}"',
        index='"${PBS_ARRAYID:-${PBS_ARRAY_INDEX:-$SLURM_ARRAY_TASK_ID}}"',
    )


def submit_command(spec: JobSpec) -> List[str]:
    """`qsub` with all that is asked for. Raises ValueError.

    A shell is named, for TORQUE takes the account's own, which may be csh.
    """
    checked(spec, LONGEST_NAME)
    array = [] if spec.alone else ["-t", f"0-{spec.size - 1}{throttled(spec)}"]
    where = [
        word
        for option, value in (("-q", spec.queue), ("-A", spec.account))
        if value
        for word in (option, value)
    ]
    fixed = ["-N", spec.key, "-S", "/bin/sh", "-r", "n", "-j", "oe", "-o", "log/torque.out"]
    return ["qsub", *fixed, "-l", _resources(spec), *where, *array, "job.sh"]


def _resources(spec: JobSpec) -> str:
    nodes = f"nodes=1:ppn={spec.cpus or 1}"
    gpus = f":gpus={spec.gpus}" if spec.gpus else ""
    time = f",walltime={clock(spec.time_s)}" if spec.time_s else ""
    memory = f",mem={spec.mem_mb}mb" if spec.mem_mb else ""
    return nodes + gpus + time + memory


def read_submission(code: Optional[int], out: str, err: str) -> Submission:
    """What became of a submission. An id counts even when the exit code is not 0: it exists."""
    for line in reversed(out.splitlines()):
        if _SUBMITTED.fullmatch(line.strip()):
            return Submission(KNOWN, line.strip())
    text = f"{err}\n{out}"
    return failed_submission(first_meaning(text, _MEANINGS), code, text)


_ASK = """\
qstat -x -f {} "$@"
code=$?
[ "$code" -eq 2 ] || exit "$code"
exec qstat -f
"""


def find_command(key: str) -> List[str]:
    """Asks for every job, arrays as one: no `qstat` can be asked for a name."""
    return ["/bin/sh", "-c", _ASK.format(""), key]


def read_found(code: Optional[int], out: str, err: str, key: str) -> Optional[List[str]]:
    """The ids of the jobs or arrays of this name; None for an answer that proves nothing.

    Slurm's wrappers show each started task of an array as a job of its own, whose number is
    higher than the array's: of bare numbers only the lowest is told.
    """
    status = read_status(code, out, err)
    if not status.complete:
        return None
    ids = {_whole(task.native_id) for task in status.tasks if task.key == key}
    bare = sorted(int(each) for each in ids if each.isdigit())
    return sorted(each for each in ids if not each.isdigit()) + [str(each) for each in bare[:1]]


def status_command(job_ids: Sequence[str]) -> List[str]:
    """Asks for these jobs and arrays, task by task; the wrappers, for the whole queue."""
    return ["/bin/sh", "-c", _ASK.format("-t"), "qstat", *job_ids]


def cancel_command(job_ids: Sequence[str]) -> List[str]:
    """`qdel`; its code is not 0 either for a job that has ended before."""
    return ["qdel", *job_ids]


def read_status(code: Optional[int], out: str, err: str) -> Status:
    """The tasks that `qstat` shows. An id that it does not know is no error."""
    complete = code in _ANSWERED and not _COMPLAINT.search(err)
    tasks = []
    for job in _xml_jobs(out) if "<Data>" in out else _listed_jobs(out):
        task = _task(job) if job is not None else None
        if task is None:
            complete = False
        else:
            tasks.append(task)
    return Status(tasks, complete)


_Job = Dict[str, str]
"""A job's attributes by their names; that of its id is `Job_Id`."""


def _xml_jobs(out: str) -> Iterator[Optional[_Job]]:
    """The jobs in TORQUE's XML; None for what cannot be read, or was cut off.

    Nothing in a value looks like a tag: TORQUE writes another character for `<`.
    """
    before, *documents = out.split("<Data>")
    beside = [before]
    for document in documents:
        inside, end, after = document.partition("</Data>")
        *pieces, rest = inside.split("</Job>")
        for piece in pieces:
            yield _xml_job(f"{piece}</Job>")
        beside += [rest, after] if end else ["cut off"]
    if re.sub(r"<\?xml[^>]*>", "", "".join(beside)).strip():
        yield None


_BARE_AND = re.compile(r"&(?!(amp|lt|gt|quot|apos);)")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def _xml_job(piece: str) -> Optional[_Job]:
    """A job's attributes. TORQUE writes `&` as it is, and control characters, which XML forbids."""
    try:
        root = ElementTree.fromstring(_CONTROL.sub("?", _BARE_AND.sub("&amp;", piece)))
    except ElementTree.ParseError:
        return None
    found = {}
    for element in root:
        found[element.tag] = (element.text or "").strip()
        for part in element:
            found[f"{element.tag}.{part.tag}"] = (part.text or "").strip()
    return found


def _listed_jobs(out: str) -> Iterator[Optional[_Job]]:
    """The jobs in an answer by lines; None for what cannot be read, or was cut off.

    The variables of a job may hold line breaks, which PBS prints as they are.
    """
    job: Optional[_Job] = None
    last = ""
    for line in out.splitlines():
        attribute = _ATTRIBUTE.fullmatch(line)
        if line.startswith("Job Id:"):
            if job is not None:
                yield job
            job, last = {"Job_Id": line.partition(":")[2].strip()}, ""
        elif job is not None and attribute and attribute.group(1) not in job:
            last = attribute.group(1)
            job[last] = attribute.group(2)
        elif job is not None and (last == _VARIABLES or (last and line[:1] in ("\t", " "))):
            job[last] += line.strip()
        elif line.strip():
            yield None
    if job is not None:
        yield job if out.endswith("\n") else None


def _task(job: _Job) -> Optional[NativeTask]:
    """A job by its attributes; None when what every job has is missing."""
    native_id, word, name = (job.get(each, "") for each in ("Job_Id", "job_state", "Job_Name"))
    found = _JOB_ID.fullmatch(native_id)
    if found is None or not word or not name:
        return None
    index = found.group(2)
    key = name[: -len(index) - 1] if index and name.endswith(f"-{index}") else name
    state, code, reason = _meaning(job, word)
    return NativeTask(
        native_id=native_id,
        key=key,
        index=int(index) if index else None,
        state=state,
        word=word,
        exit_code=code,
        node=re.split(r"[/+]", job.get("exec_host", ""))[0],
        reason=reason,
    )


def _whole(native_id: str) -> str:
    """The id of the array that a task belongs to; that of a single job is its own."""
    return re.sub(r"\[\d+\]", "[]", native_id)


def _meaning(job: _Job, word: str) -> Tuple[str, Optional[int], str]:
    """State, exit code and reason."""
    state, comment = _STATES.get(word, UNKNOWN_STATE), job.get("comment", "")
    if state != COMPLETED:
        return state, None, comment
    ends = _TORQUE_ENDS if "exit_status" in job else _PBS_ENDS
    status = job.get("exit_status", job.get("Exit_status", ""))
    if not re.fullmatch(r"-?\d+", status):
        return COMPLETED, None, comment or "it has ended, and it is not said how"
    if status.startswith("-"):
        return ends.get(int(status), FAILED), None, comment or f"exit status {status}"
    code = as_shell_code(int(status))
    return _ended(job, code, killed=int(status) > 256), code, comment


def _ended(job: _Job, code: int, killed: bool) -> str:
    """What an end with a code means; `killed`: the job's own shell did not come to its end.

    Neither code nor comment need say why a job was killed; what it had used by then does.
    """
    if code == 0:
        return COMPLETED
    comment = job.get("comment", "").lower()
    if code in _KILLED:
        over = "exceed" in comment
        if _reached(_seconds, job, "walltime") or (over and "walltime" in comment):
            return TIMEOUT
        if _reached(_kilobytes, job, "mem") or (over and "mem" in comment):
            return OUT_OF_MEMORY
    return CANCELLED if killed else FAILED


def _reached(read: Callable[[str], int], job: _Job, name: str) -> bool:
    """Whether a job had used all of a resource that it was given."""
    given, used = (job.get(f"{kind}.{name}", "") for kind in ("Resource_List", "resources_used"))
    try:
        return 0 < read(given) <= read(used)
    except ValueError:
        return False


def _seconds(text: str) -> int:
    """Of `HH:MM:SS`, or of seconds. Raises ValueError."""
    total = 0
    for part in text.split(":"):
        total = total * 60 + int(part)
    return total


_KILOBYTES = {"b": 1 / 1024, "": 1 / 1024, "kb": 1, "mb": 1024, "gb": 1024**2, "tb": 1024**3}


def _kilobytes(text: str) -> int:
    """Of `100mb` and its like. Raises ValueError."""
    found = re.fullmatch(r"(\d+)([kmgt]?b|)", text.lower())
    if found is None:
        raise ValueError(text)
    return int(int(found.group(1)) * _KILOBYTES[found.group(2)])
