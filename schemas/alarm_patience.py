"""How long something must be away before it is told of; a parameter of reconcile's deployment."""

from pydantic import BaseModel, ConfigDict, Field


class AlarmPatience(BaseModel):
    """Times in seconds.

    What is not there is looked for `looks` times, `pause_s` apart, before it counts as away: a
    service may just be starting, an answer may be lost. A service or agent that asked nothing
    for `silent_s` is silent: each asks something every few seconds.
    """

    model_config = ConfigDict(frozen=True)

    looks: int = Field(default=3, ge=1)
    pause_s: float = Field(default=10.0, ge=0)
    silent_s: float = Field(default=180.0, gt=0)


DEFAULT_PATIENCE = AlarmPatience()
