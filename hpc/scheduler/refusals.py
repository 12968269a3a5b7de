"""What Slurm's complaints about a submission mean for the next step.

Only a text that we know to come from a controller that said no counts as a refusal;
anything else leaves open whether the job exists.
"""

import re
from enum import Enum


class Complaint(Enum):
    """What an unsuccessful `sbatch` leaves us with."""

    PERMANENT = "permanent"  # wrong as it is written; the same again fails again
    FULL = "full"  # the queue takes no more just now; hold, and no try is used
    AMBIGUOUS = "ambiguous"  # the job may exist: look for it before anything else


_AMBIGUOUS = (
    r"socket timed out",
    r"unable to contact slurm controller",
    r"communication connection failure",
    r"connection (refused|reset|timed out)",
    r"zero bytes were transmitted",
    r"transport endpoint",
    r"unexpected message",
    r"protocol authentication error",
    r"munge",
    r"no route to host",
    r"backup controller",
)

_FULL = (
    r"max_?submit",  # QOSMaxSubmitJobPerUserLimit, AssocMaxSubmitJobLimit
    r"maxjob(s|count)?\b",
    r"grp_?submit",
    r"job_?count",
    r"temporarily un(able|available)",
    r"resource temporarily",
    r"submission (is |has been )?disabled",
    r"required partition not available",
    r"required node not available",
    r"partition is (down|inactive|drained)",
    r"maintenance",
)

_PERMANENT = (
    r"invalid (partition|account|qos|feature|generic resource|job array|job credential|"
    r"wckey|reservation|node name|user id|time|trackable)",
    r"account/partition combination",
    r"requested time limit is invalid",
    r"time limit specification",
    r"requested node configuration is not available",
    r"memory (specification|required)",
    r"(cpu|node|task) count",
    r"more processors requested",
    r"requested reservation",
    r"permission denied",
    r"not permitted to use",
    r"unrecogni[sz]ed option",
    r"invalid option",
    r"unable to open file",
    r"batch script (is empty|contains)",
    r"violates accounting/qos policy",
    r"pathname of a file, directory or other parameter too long",
)


def is_silence(stderr: str) -> bool:
    """Whether a program of Slurm's complains that its controller does not answer."""
    return any(re.search(pattern, stderr.lower()) for pattern in _AMBIGUOUS)


_NO_ANSWER = r"slurm_[a-z_]+ error:|slurm_persist_conn_open|problem (talking to|with) the database"
"""How Slurm's own library says that it brought no answer; its program may end with 0 then."""


def lost_words() -> str:
    """The words of an answer that did not come, in lower case: an extended regular expression."""
    return "|".join((*_AMBIGUOUS, _NO_ANSWER))


def answered(exit_code: int, stderr: str) -> bool:
    """Whether a program of Slurm's that was asked something gave its answer.

    A warning beside it (a plugin's, a deprecation, a locale) changes nothing: only words of a
    failed transport take the answer's word away.
    """
    return exit_code == 0 and re.search(lost_words(), stderr.lower()) is None


def classify(stderr: str) -> Complaint:
    """What to make of an unsuccessful `sbatch`, from what it wrote to stderr.

    Doubt wins: a text that names both a limit and a lost connection is AMBIGUOUS, and so is
    any text not known. A limit on how many may be submitted is FULL although Slurm
    follows it by `Job violates accounting/QOS policy`.
    """
    text = stderr.lower()
    for patterns, complaint in (
        (_AMBIGUOUS, Complaint.AMBIGUOUS),
        (_FULL, Complaint.FULL),
        (_PERMANENT, Complaint.PERMANENT),
    ):
        if any(re.search(pattern, text) for pattern in patterns):
            return complaint
    return Complaint.AMBIGUOUS
