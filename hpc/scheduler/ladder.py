"""The ladder of resources: what a repeated attempt asks for after it ran out of something."""

from collections.abc import Sequence
from typing import Any

from hpc.scheduler.states import JobState
from schemas.pipeline_model import Resources

MEMORY_FACTOR = 2
TIME_FACTOR = 2
UNSET_MEMORY_MB = 4096
"""What a stage is given after an end by memory when it never said how much it needs, in MiB."""

UNSET_TIME_S = 3600
"""The same for time, in seconds."""


def climb(asked: Resources, outcomes: Sequence[str]) -> Resources:
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


def asked_for(site: Resources, stage: dict[str, Any], outcomes: Sequence[str]) -> dict[str, Any]:
    """What an attempt asks for: its stage's wishes, the site's, and more of what ran out before."""
    asked = climb(merge(site, Resources.model_validate(stage)), outcomes)
    return asked.model_dump(mode="json", by_alias=True)
