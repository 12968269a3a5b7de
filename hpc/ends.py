"""What the end of a job that left no result means for its work: the rule of every kind of site.

The scheduler's word comes first, for it knows why. A runner that was told to stop says
nothing of its work, since a signal never says who sent it: its exit code tells that it was
interrupted, and no more. An end that says nothing against the job uses no try; what comes
again and again waits longer each time, and what nobody explains has a bound.
"""

import signal
from dataclasses import dataclass, replace

from hpc.scheduler.slurm import Task
from hpc.scheduler.states import JobState

SERVER_OUT_OF_REACH = 75
"""The runner's exit code when it could not reach us for a start; it touched nothing."""

FREE_CODES = (0, SERVER_OUT_OF_REACH)
"""Codes that use no try, even after a start: a granted start whose answer was lost ends so."""

NEAR_LIMIT = 128 + signal.SIGUSR1
"""The exit code of a runner that SIGUSR1 ended: the scheduler's warning of the time limit."""

INTERRUPTED = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""Exit codes of one that was told to stop: pre-empted, drained, cancelled, out of time."""

SIGNALLED = (*INTERRUPTED, NEAR_LIMIT)
"""Exit codes of a signal: only the scheduler knows what was behind them."""

FREE_ENDS = 10
"""How often in a row an end that nobody explains uses no try; each further one does."""


AS_ASKED = "it was cancelled as asked"


@dataclass(frozen=True)
class Meaning:
    """An attempt's outcome, whether its job used a try, and in words.

    `free`: after so many in a row, without a try, each uses one; None: never.
    """

    outcome: str
    uses_try: bool
    why: str
    free: int | None = None


def of_job(end: Task, *, started: bool, cancelled: bool = False) -> Meaning:
    """What the end of a job of ours means; `started`: it was at work on its specimen."""
    found = _of_state(end, started)
    if cancelled:
        return replace(found, outcome="cancelled", uses_try=False, why=AS_ASKED)
    return found


def of_runner(exit_code: int | None, *, started: bool) -> Meaning:
    """What the end of a runner of this machine means; a code None: nobody saw it end."""
    found = _of_state(by_code(exit_code), started)
    return replace(found, why=f"its runner is gone without a word: {found.why}")


def of_script_job(end: Task, *, cancelled: bool) -> Meaning:
    """What the end means of a job that a script submitted, and that has not called back.

    One that ended well uses a try too: a script that does not call never will.
    """
    found, well = _of_state(end, started=True), end.state is JobState.COMPLETED
    if cancelled:
        return replace(found, outcome="cancelled", uses_try=False, why=AS_ASKED)
    told = "it ended well" if well else found.why
    return replace(found, uses_try=found.uses_try or well, why=f"{told} before it called back")


def of_script(exit_code: int | None, said: str, *, cancelled: bool) -> Meaning:
    """What the end of a script of this machine means that submitted no job; None: killed."""
    if cancelled:
        return Meaning("cancelled", False, AS_ASKED)
    if exit_code is None:
        return Meaning("lost", False, "its script was killed before it ended")
    why = f"its script ended with code {exit_code} and did not report DONE"
    return Meaning("failed", True, f"{why}: {said}" if said else why)


def blames_site(end: Task, *, started: bool) -> bool:
    """Whether an end speaks against its site: it failed, not told to, before its start counted."""
    unserved = not started or end.exit_code == SERVER_OUT_OF_REACH
    return end.state is JobState.FAILED and unserved and end.exit_code not in SIGNALLED


def by_code(code: int | None, native_id: str = "") -> Task:
    """An end of which only the exit code is known; `code` is None when nobody saw it end.

    Python tells a signal as a negative number, a shell as 128 and more.
    """
    if code is None:
        return Task(native_id, "", JobState.UNKNOWN, "")
    value = 128 - code if code < 0 else code
    states = {0: JobState.COMPLETED, NEAR_LIMIT: JobState.TIMEOUT}
    state = states.get(value, JobState.FAILED)
    return Task(native_id, "", state, "left its exit code", exit_code=value)


def _of_state(end: Task, started: bool) -> Meaning:
    match end.state:
        case JobState.TIMEOUT:
            return Meaning("timeout", started, "its time ran out")
        case JobState.OUT_OF_MEMORY:
            return Meaning("out_of_memory", True, "its memory ran out")
        case JobState.NODE_FAIL:
            return Meaning("node_fail", False, "its node failed")
        case JobState.PREEMPTED:
            return Meaning("preempted", False, "it had to make room for another job")
        case JobState.CANCELLED:
            why = "somebody cancelled it at the site"
            return Meaning("cancelled", False, why, FREE_ENDS)
        case JobState.FAILED if end.exit_code in INTERRUPTED:
            why = "it was told to stop, and the scheduler does not say why"
            return Meaning("interrupted", False, why, FREE_ENDS)
        case JobState.FAILED if started and end.exit_code == NEAR_LIMIT:
            return Meaning("timeout", True, "its time ran out")
        case JobState.FAILED:
            return _failed(end.exit_code, started)
    return Meaning("lost", False, "it ended without a word", FREE_ENDS)


def _failed(code: int | None, started: bool) -> Meaning:
    told = "it failed" if code is None else f"it ended with code {code}"
    if not started:
        return Meaning("lost", False, f"{told} before it started", _bound(code))
    if code in FREE_CODES:
        return Meaning("lost", False, told, _bound(code))
    return Meaning("failed", True, told)


def _bound(code: int | None) -> int | None:
    """Nodes that cannot reach us are an outage, and no outage uses up a try, however long."""
    return None if code == SERVER_OUT_OF_REACH else FREE_ENDS
