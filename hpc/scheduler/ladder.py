"""What a repeated attempt asks for after an earlier one ran out of time or memory."""

from collections.abc import Sequence
from typing import Any

from hpc.scheduler.bounds import Allowed, JobBounds
from hpc.scheduler.states import JobState
from schemas.pipeline.model import Resources

FACTOR = 2
UNSET_MEMORY_MB = 4096
UNSET_TIME_S = 3600
"""What a stage is given after it ran out of one that it never asked for."""

BOUNDED = "bounded"
"""The key, among what an attempt asks for, of the limits it has reached: by the outcome that asks
for more, whose limit it is."""

UNLIMITED = Allowed()


def escalate_resources(asked: Resources, outcomes: Sequence[str]) -> Resources:
    """What to ask for after these outcomes of earlier attempts: doubled each time it ran out."""
    timeouts = outcomes.count(JobState.TIMEOUT.value)
    memory = outcomes.count(JobState.OUT_OF_MEMORY.value)
    steps: dict[str, int] = {}
    if timeouts:
        first = asked.time_s * FACTOR if asked.time_s else UNSET_TIME_S
        steps["time_s"] = first * FACTOR ** (timeouts - 1)
    if memory:
        first = asked.mem_mb * FACTOR if asked.mem_mb else UNSET_MEMORY_MB
        steps["mem_mb"] = first * FACTOR ** (memory - 1)
    return asked.model_copy(update=steps)


def merge(site: Resources, stage: Resources) -> Resources:
    """What a stage asks for, and what its site does where the stage asks for nothing."""
    given = {name: value for name, value in stage if value is not None}
    return site.model_copy(update=given)


def cap(first: Resources, more: Resources, bounds: JobBounds) -> tuple[Resources, dict[str, str]]:
    """`more` as far as the cluster lets a job ask for it, and whose limits are reached, by the
    outcome that asks for more. `first` is never capped: that is Slurm's to refuse.
    """
    steps: dict[str, int] = {}
    reached: dict[str, str] = {}
    if bounds.time_s and more.time_s and more.time_s != first.time_s:
        limit, whose = bounds.time_s
        if more.time_s >= limit:
            steps["time_s"] = max(limit, first.time_s or 0)
            reached[JobState.TIMEOUT.value] = f"{whose} allows {_time(limit)}"
    if bounds.mem_mb and more.mem_mb and more.mem_mb != first.mem_mb:
        limit, whose = bounds.mem_mb
        if more.mem_mb >= limit:
            steps["mem_mb"] = max(limit, first.mem_mb or 0)
            reached[JobState.OUT_OF_MEMORY.value] = f"{whose} allows {limit} MB of memory"
    return more.model_copy(update=steps), reached


def _time(seconds: int) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min"


def asked_for(
    site: Resources, stage: dict[str, Any], outcomes: Sequence[str], allowed: Allowed = UNLIMITED
) -> dict[str, Any]:
    """What an attempt asks for: as its stage and its site ask, and more of what ran out before, as
    far as the cluster allows; under BOUNDED which limits that has reached."""
    first = merge(site, Resources.model_validate(stage))
    asked, reached = cap(first, escalate_resources(first, outcomes), allowed.of(first))
    found = asked.model_dump(mode="json", by_alias=True)
    return found | {BOUNDED: reached} if reached else found
