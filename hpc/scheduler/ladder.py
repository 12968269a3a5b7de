"""The ladder of resources: what a repeated attempt asks for after it ran out of something."""

from collections.abc import Sequence
from typing import Any

from hpc.scheduler.bounds import Allowed, JobBounds
from hpc.scheduler.states import JobState
from schemas.pipeline.model import Resources

MEMORY_FACTOR = 2
TIME_FACTOR = 2
UNSET_MEMORY_MB = 4096
"""What a stage is given after an end by memory when it never said how much it needs, in MiB."""

UNSET_TIME_S = 3600
"""The same for time, in seconds."""

BOUNDED = "bounded"
"""The key, among what an attempt asks for, of what it would ask more of if it might: by the
outcome that wants more, whose limit it is."""

ANYTHING = Allowed()


def escalate_resources(asked: Resources, outcomes: Sequence[str]) -> Resources:
    """What to ask for after these outcomes of earlier attempts: more of what ran out.

    Doubled for each time it ran out; a failed node costs no step, it is excluded instead.
    """
    timeouts = outcomes.count(JobState.TIMEOUT.value)
    memory = outcomes.count(JobState.OUT_OF_MEMORY.value)
    steps: dict[str, int] = {}
    if timeouts:
        first = asked.time_s * TIME_FACTOR if asked.time_s else UNSET_TIME_S
        steps["time_s"] = first * TIME_FACTOR ** (timeouts - 1)
    if memory:
        first = asked.mem_mb * MEMORY_FACTOR if asked.mem_mb else UNSET_MEMORY_MB
        steps["mem_mb"] = first * MEMORY_FACTOR ** (memory - 1)
    return asked.model_copy(update=steps)


def merge(site: Resources, stage: Resources) -> Resources:
    """A stage's wishes, and the site's where it has none."""
    given = {name: value for name, value in stage if value is not None}
    return site.model_copy(update=given)


def cut(first: Resources, climbed: Resources, most: JobBounds) -> tuple[Resources, dict[str, str]]:
    """What is climbed to as far as the cluster lets a job ask for it, and whose limits are
    reached, by the outcome that asks for more. `first` is never cut: that is Slurm's to refuse.
    """
    steps: dict[str, int] = {}
    reached: dict[str, str] = {}
    if most.time_s and climbed.time_s and climbed.time_s != first.time_s:
        limit, whose = most.time_s
        if climbed.time_s >= limit:
            steps["time_s"] = max(limit, first.time_s or 0)
            reached[JobState.TIMEOUT.value] = f"{whose} allows {_time(limit)}"
    if most.mem_mb and climbed.mem_mb and climbed.mem_mb != first.mem_mb:
        limit, whose = most.mem_mb
        if climbed.mem_mb >= limit:
            steps["mem_mb"] = max(limit, first.mem_mb or 0)
            reached[JobState.OUT_OF_MEMORY.value] = f"{whose} allows {limit} MB of memory"
    return climbed.model_copy(update=steps), reached


def _time(seconds: int) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min"


def asked_for(
    site: Resources, stage: dict[str, Any], outcomes: Sequence[str], allowed: Allowed = ANYTHING
) -> dict[str, Any]:
    """What an attempt asks for: its stage's wishes, the site's, and more of what ran out before,
    as far as the cluster allows; under BOUNDED which limits that has reached."""
    first = merge(site, Resources.model_validate(stage))
    asked, reached = cut(first, escalate_resources(first, outcomes), allowed.of(first))
    found = asked.model_dump(mode="json", by_alias=True)
    return found | {BOUNDED: reached} if reached else found
