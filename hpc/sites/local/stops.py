"""Which runner of this machine has to be stopped, of which member, and with what signal.

A batch's members run one after another: the one that is started is the one that is stopped,
and those after it go on in a runner of their own. As at a scheduler, a time limit is told to
the runner first, which then reports it itself.
"""

import signal
from dataclasses import dataclass

from hpc.ends import AS_ASKED, Meaning
from schemas.pipeline.model import Resources
from track.jobs.batches import Batch, Member

GRACE_S = 30.0
"""What a runner is given to say how far it came before it is killed."""


@dataclass
class Stop:
    """One member that is being stopped since `at`, by a monotonic clock in seconds."""

    attempt: int
    signal: signal.Signals
    meaning: Meaning
    at: float
    killed: bool = False


def due_stop(batch: Batch, now: float) -> Stop | None:
    """What has to be stopped of a batch that runs, if anything."""
    unfinished = [member for member in batch.members if member.open]
    at_work = next((member for member in unfinished if member.started), None)
    if at_work is None:
        unwanted = bool(unfinished) and all(member.cancelled for member in unfinished)
        return _cancel(unfinished[0], now) if unwanted else None
    if at_work.cancelled:
        return _cancel(at_work, now)
    limit = Resources.model_validate(batch.resources).time_s
    if limit is not None and at_work.runs_s is not None and at_work.runs_s > limit:
        why = f"its time ran out: it may run for {limit} s (resources.time)"
        return Stop(at_work.attempt, signal.SIGUSR1, Meaning("timeout", True, why), now)
    return None


def _cancel(member: Member, now: float) -> Stop:
    return Stop(member.attempt, signal.SIGTERM, Meaning("cancelled", False, AS_ASKED), now)
