"""What the end of a job that left no result means for its work: the rule of every kind of site.

The scheduler's state comes first, for it knows why. A signal never shows who sent it: the
exit code of a runner that got one means that it was interrupted, and no more. An end that is
not the job's fault uses no try; what comes again and again waits longer each time, and what
nobody explains has a bound.
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
"""Exit codes of one that was asked to stop: pre-empted, drained, cancelled, out of time."""

SIGNALLED = (*INTERRUPTED, NEAR_LIMIT)
"""Exit codes of a signal: only the scheduler knows what was behind them."""

FREE_ENDS = 10
"""How often in a row an end that nobody explains uses no try; each further one does."""

AS_ASKED = "it was cancelled as asked"


@dataclass(frozen=True)
class Meaning:
    """An attempt's outcome, whether its job used a try, and why, for a person.

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
    why = f"{'it ended well' if well else found.why} before it called back"
    return replace(found, uses_try=found.uses_try or well, why=why)


def of_script(exit_code: int | None, output: str, *, cancelled: bool) -> Meaning:
    """What the end of a script of this machine means that submitted no job; None: killed."""
    if cancelled:
        return Meaning("cancelled", False, AS_ASKED)
    if exit_code is None:
        return Meaning("lost", False, "its script was killed before it ended")
    why = f"its script ended with code {exit_code} and did not report DONE"
    return Meaning("failed", True, f"{why}: {output}" if output else why)


def blames_site(end: Task, *, started: bool) -> bool:
    """Whether an end is the site's fault: it failed, by no signal, before its start counted."""
    unserved = not started or end.exit_code == SERVER_OUT_OF_REACH
    return end.state is JobState.FAILED and unserved and end.exit_code not in SIGNALLED


def by_code(code: int | None, native_id: str = "") -> Task:
    """An end of which only the exit code is known; `code` is None when nobody saw it end.

    Python gives a signal as a negative number, a shell as 128 and more.
    """
    if code is None:
        return Task(native_id, "", JobState.UNKNOWN, "")
    value = 128 - code if code < 0 else code
    states = {0: JobState.COMPLETED, NEAR_LIMIT: JobState.TIMEOUT}
    state = states.get(value, JobState.FAILED)
    return Task(native_id, "", state, "left its exit code", exit_code=value)


_BY_STATE = {
    JobState.OUT_OF_MEMORY: Meaning("out_of_memory", True, "its memory ran out"),
    JobState.NODE_FAIL: Meaning("node_fail", False, "its node failed"),
    JobState.PREEMPTED: Meaning("preempted", False, "it had to make room for another job"),
    JobState.CANCELLED: Meaning("cancelled", False, "somebody cancelled it at the site", FREE_ENDS),
}


def _of_state(end: Task, started: bool) -> Meaning:
    code = end.exit_code
    if end.state is JobState.TIMEOUT:
        return Meaning("timeout", started, "its time ran out")
    if end.state is not JobState.FAILED:
        unexplained = Meaning("lost", False, "it ended without a word", FREE_ENDS)
        return _BY_STATE.get(end.state, unexplained)
    if code in INTERRUPTED:
        why = "it was told to stop, and the scheduler does not say why"
        return Meaning("interrupted", False, why, FREE_ENDS)
    if started and code == NEAR_LIMIT:
        return Meaning("timeout", True, "its time ran out")
    why = "it failed" if code is None else f"it ended with code {code}"
    if started and code not in FREE_CODES:
        return Meaning("failed", True, why)
    # Nodes that cannot reach us are an outage, and no outage uses up a try, however long.
    free = None if code == SERVER_OUT_OF_REACH else FREE_ENDS
    return Meaning("lost", False, why if started else f"{why} before it started", free)
