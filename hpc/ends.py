"""What the end of a native job means for the work it was given: one rule for every site.

The scheduler's word comes first, for it knows why. A runner that was told to stop says
nothing of its work, since a signal never says who sent it: its exit code tells that it was
interrupted, and no more. An end that says nothing against the job uses no try; what comes
again and again waits longer each time, and what nobody explains has a bound.
"""

import signal
from dataclasses import dataclass

from hpc.scheduler.slurm import Task
from hpc.scheduler.states import JobState

SERVER_OUT_OF_REACH = 75
"""The runner's exit code when it could not reach us for a start; it touched nothing."""

NOT_ITS_FAULT = (0, SERVER_OUT_OF_REACH)
"""Codes that use no try, even after a start: a granted start whose answer was lost ends so."""

NEAR_LIMIT = 128 + signal.SIGUSR1
"""The exit code of a runner that SIGUSR1 ended: the scheduler's warning of the time limit."""

INTERRUPTED = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""Exit codes of one that was told to stop: pre-empted, drained, cancelled, out of time."""

SIGNALLED = (*INTERRUPTED, NEAR_LIMIT)
"""Exit codes of which only the scheduler knows what was behind them."""

FREE_ENDS = 10
"""How often in a row an end that nobody explains uses no try; each further one does."""


@dataclass(frozen=True)
class Meaning:
    """An attempt's outcome, whether its job used a try, and in words.

    `free`: after so many in a row, without a try, each uses one; None: never.
    """

    outcome: str
    uses_try: bool
    why: str
    free: int | None = None


def interrupted(end: Task) -> bool:
    """Whether a job was told to stop, and the scheduler does not say why."""
    return end.state is JobState.FAILED and end.exit_code in INTERRUPTED


def meaning(end: Task, *, started: bool) -> Meaning:
    """What an end without a result means; `started`: the job was at work on its specimen."""
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
        case JobState.FAILED if interrupted(end):
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
    if code in NOT_ITS_FAULT:
        return Meaning("lost", False, told, _bound(code))
    return Meaning("failed", True, told)


def _bound(code: int | None) -> int | None:
    """Nodes that cannot reach us are an outage, and no outage uses up a try, however long."""
    return None if code == SERVER_OUT_OF_REACH else FREE_ENDS


def by_code(code: int | None) -> Task:
    """The end of a process of this machine; `code` is None when nobody saw it end.

    Python tells a signal as a negative number, a shell as 128 and more.
    """
    if code is None:
        return Task("", "", JobState.UNKNOWN, "")
    value = 128 - code if code < 0 else code
    return Task("", "", state_by_code(value), "left its exit code", exit_code=value)


def state_by_code(code: int) -> JobState:
    """What an exit code alone shows of an end."""
    return {0: JobState.COMPLETED, NEAR_LIMIT: JobState.TIMEOUT}.get(code, JobState.FAILED)
