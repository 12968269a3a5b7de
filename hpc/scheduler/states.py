"""Job states in two levels: a scheduler's own, and what that means to us.

A word that is not known means UNKNOWN: it never stops a poll and never ends a job.
"""

from enum import Enum


class JobState(Enum):
    """What a native job's state means to us."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    NODE_FAIL = "node_fail"
    PREEMPTED = "preempted"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def alive(self) -> bool:
        """Whether the job waits or runs."""
        return self in (JobState.PENDING, JobState.RUNNING)

    @property
    def ended(self) -> bool:
        """Whether nothing of the job can run any more."""
        return not self.alive and self is not JobState.UNKNOWN


_S = JobState

SLURM = {
    # squeue(1) and sacct(1), JOB STATE CODES.
    "BOOT_FAIL": _S.NODE_FAIL,
    "CANCELLED": _S.CANCELLED,
    "COMPLETED": _S.COMPLETED,
    "COMPLETING": _S.RUNNING,
    "CONFIGURING": _S.RUNNING,
    "DEADLINE": _S.TIMEOUT,
    "FAILED": _S.FAILED,
    "LAUNCH_FAILED": _S.NODE_FAIL,
    "NODE_FAIL": _S.NODE_FAIL,
    "OUT_OF_MEMORY": _S.OUT_OF_MEMORY,
    "PENDING": _S.PENDING,
    "POWER_UP_NODE": _S.RUNNING,
    "PREEMPTED": _S.PREEMPTED,
    "RECONFIG_FAIL": _S.NODE_FAIL,
    "REQUEUED": _S.PENDING,
    "REQUEUE_FED": _S.PENDING,
    "REQUEUE_HOLD": _S.PENDING,
    "RESIZING": _S.RUNNING,
    "RESV_DEL_HOLD": _S.PENDING,
    "REVOKED": _S.CANCELLED,
    "RUNNING": _S.RUNNING,
    "SIGNALING": _S.RUNNING,
    "SPECIAL_EXIT": _S.PENDING,
    "STAGE_OUT": _S.RUNNING,
    "STOPPED": _S.RUNNING,
    "SUSPENDED": _S.RUNNING,
    "TIMEOUT": _S.TIMEOUT,
}
"""What each of Slurm's words means."""


def slurm_state(word: str) -> JobState:
    """What a word of squeue or sacct means; `CANCELLED by 1000` and `RUNNING+` are understood."""
    first = word.strip().split(" ", 1)[0].rstrip("+*").upper()
    return SLURM.get(first, JobState.UNKNOWN)
