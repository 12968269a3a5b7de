"""What a runner's failure says of its site: whether the job could have done anything better."""

from hpc.ends import INTERRUPTED
from schemas.attempts import Fail

STOPPED = frozenset({"Terminated"})
"""What an earlier runner calls it when it was told to stop; today's leaves that to its driver."""

LACKS = frozenset({"NotPrepared", "ImportError", "ModuleNotFoundError"})
"""What a runner calls it when the site lacks a library."""

UNREACHABLE = frozenset({"Unreachable"})
"""When the archive's files are out of its reach."""

FIRST_PAUSE_S = 300.0
LONGEST_PAUSE_S = 1800.0


def lacks_library(body: Fail) -> bool:
    """Whether the site cannot run the module at all."""
    return _named(body) in LACKS


def not_its_fault(body: Fail) -> bool:
    """Whether nothing was wrong with the specimen: it uses no try."""
    stopped = _named(body) in STOPPED and body.exit_code in INTERRUPTED
    return stopped or _named(body) in LACKS | UNREACHABLE


def pause_s(attempts: int) -> float:
    """How long a job waits that was not served, in seconds: longer with each of its attempts."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 10))


def _named(body: Fail) -> str:
    return (body.exception or "").partition("\n")[0]
