"""What Slurm's complaints about a submission mean for the next step.

A text with a word of a failed transport leaves open whether the job exists. What follows
`Batch job submission failed:` without one is the controller's answer: there is no job. Of
those answers only texts that are known to be about what the job asks for are held against
it; any other, such as what a site's own `job_submit` plugin says, is the site's own refusal.

The texts are those of Slurm's `slurm_errno.c` (22.05), and of shells, loaders and PAM.
"""

import re
from enum import Enum

from hpc.scheduler.text import on_one_line


class SubmitOutcome(Enum):
    """What is known of a submission."""

    KNOWN = "known"  # it has an id
    BUSY = "busy"  # an earlier try of ours is still under way over there
    ABSENT = "absent"  # tried before, without an answer, and the queue shows no such job now
    QUEUE_UNREADABLE = "unreadable"  # tried before, and the queue cannot be asked
    REFUSED = "refused"  # wrong as it is written; the same again fails again
    FULL = "full"  # the queue takes nothing just now
    FEWER = "fewer"  # it takes no more than so many at a time
    ARRAY = "array"  # a larger array than it takes, or it takes none at all
    UNWILLING = "unwilling"  # the site refuses, and nothing of it is the job's fault
    UNKNOWN = "unknown"  # tried now, and the job may exist: look for it before anything else


_TRANSPORT = re.compile(
    r"timed out|unable to contact slurm controller|communication (connection|shutdown) failure|"
    r"connection (refused|reset|closed|aborted)|connection abort|"
    r"zero (bytes were|length message)|received message length|failed to send entire message|"
    r"transport endpoint|unexpected (message|missing socket)|message (send|receive) failure|"
    r"operation now in progress|interrupted system call|broken pipe|"
    r"protocol authentication error|authentication (credential|agent|does not apply)|munge|"
    r"unpack credential|security violation|"
    r"no route to host|network is (unreachable|down)|host is (unreachable|down)|"
    r"can't find an address|"
    r'unable to resolve (host|address|")|name or service not known|name resolution|'
    r"backup controller|standby mode|insane message length|header lengths are longer|"
    r"incompatible versions|stream version number"
)
"""Words of a request or an answer that went astray, wherever they stand."""

_FAILED = "batch job submission failed:"

_FULL = re.compile(
    r"required (partition|node) not available|partition in down state|requested nodes are busy|"
    r"requested operation is presently disabled|system submissions disabled|"
    r"job can not start due to maintenance|requested reservation not usable now|"
    r"job (can not be altered|update not available right) now"
)
_FEWER = re.compile(r"resource temporarily unavailable|unable to create job record")
_ARRAY = re.compile(r"invalid job array specification")
_PERMANENT = re.compile(
    r"invalid (partition name|(preferred )?feature|qos|wckey|license|time|node name|generic|gres|"
    r"trackable)|duplicate generic resource|insufficient gres|requested gres option|"
    r"no partition specified|requested nodes not in this partition|multiple partition job|"
    r"more processors requested|requested more tasks|(node|cpu|core|task) count|"
    r"task distribution specification|job size specification|cannot request more threads|"
    r"requested node configuration is not available|memory required|"
    r"requested time limit is invalid|time limit specification|"
    r"pathname of a file, directory or other parameter too long|job --batch option"
)
"""How the controller's answer begins, by what it means."""

_POLICY = "job violates accounting/qos policy"
_SUBMITTED = re.compile(r"(max|grp)_?submit|max_?jobs?(count|per|limit)|grp_?jobs?limit")
_USED_UP = re.compile(r"\b(qos|assoc)\w*(mins|minutes)\w*")
_PER_JOB = re.compile(
    r"\b(qos|assoc)(min|max)\w*per(job|node)\w*|\b(qos|assoc)maxwall\w*|qosmin\w*"
)
_OTHER_LIMIT = re.compile(r"\b(qos|assoc)(grp|max)\w+")
_NAMED = re.compile(r"\b(qos|assoc)(grp|max|min)[a-z]+\b")
"""The limit that Slurm names on a line of its own before a breach of policy, if it does."""

_WRONG_WORDS = re.compile(
    r"sbatch: (error|fatal): (invalid (--)?(mem|time|gres|tres|cpu|gpu|node|number|numeric|size)|"
    r"memory specification can not be satisfied)"
)
"""sbatch's own complaint of its options: it asked no controller."""

_NOT_ASKED = re.compile(
    r"disk quota exceeded|no space left on device|read-only file system|input/output error|"
    r"stale file handle|permission denied|operation not permitted|command not found|"
    r": not found|no such file or directory|cannot open shared object file|symbol lookup error|"
    r"cannot allocate memory|cannot fork|fork: |too many open files|argument list too long|"
    r"authentication token|(account|password) (has )?expired|change your password|"
    r"account is currently not available|unrecogni[sz]ed option|invalid option|"
    r"unable to open file|batch script|cli_filter"
)
"""The login node's own trouble, which reached no controller."""


def is_silence(stderr: str) -> bool:
    """Whether a program of Slurm's complains that its controller does not answer."""
    return _TRANSPORT.search(_plain(stderr)) is not None


_NO_ANSWER = r"slurm_[a-z_]+ error:|slurm_persist_conn_open|problem (talking to|with) the database"
"""How Slurm's own library says that it brought no answer; its program may end with 0 then."""


def lost_answer_pattern() -> str:
    """The words of an answer that did not come, in lower case: an extended regular expression."""
    return f"{_TRANSPORT.pattern}|{_NO_ANSWER}"


def answered(exit_code: int, stderr: str) -> bool:
    """Whether a program of Slurm's that was asked something gave its answer.

    A warning with it (a plugin's, a deprecation, a locale) changes nothing: only words of a
    failed transport make the answer worthless.
    """
    return exit_code == 0 and re.search(lost_answer_pattern(), _plain(stderr)) is None


def classify(stderr: str) -> SubmitOutcome:
    """What to make of an unsuccessful `sbatch`, from what it wrote.

    Doubt wins: a text that names both a limit and a lost connection is UNKNOWN, and so is
    one in which neither the controller nor anything known on the login node speaks. Colours,
    case, line breaks and lines around the answer change nothing.
    """
    text = _plain(stderr)
    if _TRANSPORT.search(text):
        return SubmitOutcome.UNKNOWN
    _, failed, answer = text.rpartition(_FAILED)
    if failed:
        return _answered(answer.strip(), text)
    if _NAMED.search(text):
        return _policy(text)
    if _WRONG_WORDS.search(text):
        return SubmitOutcome.REFUSED
    return SubmitOutcome.UNWILLING if _NOT_ASKED.search(text) else SubmitOutcome.UNKNOWN


def _answered(answer: str, text: str) -> SubmitOutcome:
    if answer.startswith(_POLICY):
        return _policy(text)
    for pattern, complaint in (
        (_PERMANENT, SubmitOutcome.REFUSED),
        (_FULL, SubmitOutcome.FULL),
        (_FEWER, SubmitOutcome.FEWER),
        (_ARRAY, SubmitOutcome.ARRAY),
    ):
        if pattern.match(answer):
            return complaint
    return SubmitOutcome.UNWILLING


def _policy(text: str) -> SubmitOutcome:
    """A breach of policy, by the limit named; without one it is most often one on how many
    may be submitted, and where it is not, trying ever fewer comes to an end as well."""
    for pattern, complaint in (
        (_SUBMITTED, SubmitOutcome.FEWER),
        (_PER_JOB, SubmitOutcome.REFUSED),
        (_USED_UP, SubmitOutcome.UNWILLING),
        (_OTHER_LIMIT, SubmitOutcome.FULL),
    ):
        if pattern.search(text):
            return complaint
    return SubmitOutcome.FEWER


def _plain(text: str) -> str:
    return on_one_line(text).lower()
