"""How long something must be away before it is told of; a parameter of reconcile's deployment."""

from pydantic import BaseModel, ConfigDict, Field


class AlarmPatience(BaseModel):
    """How long something must be away: a service may be starting, an answer may be lost."""

    model_config = ConfigDict(frozen=True)

    looks: int = Field(
        default=3,
        ge=1,
        description="how often what is not there is looked for before it counts as away",
    )
    pause_s: float = Field(default=10.0, ge=0, description="the time between two looks, in s")
    silent_s: float = Field(
        default=180.0,
        gt=0,
        description="a service or agent that asked nothing for so long is silent, in s; each asks"
        " something every few seconds",
    )


DEFAULT_PATIENCE = AlarmPatience()
