"""How fast and how patiently a dispatcher works; a parameter of its deployment."""

from pydantic import BaseModel, ConfigDict, Field


class Pace(BaseModel):
    """How fast and how patiently a dispatcher works; what ends in `_s` is in seconds."""

    model_config = ConfigDict(frozen=True)

    tick_s: float = Field(
        default=3.0, gt=0, description="how often to look for work that no event announced, in s"
    )
    recheck_s: float = Field(
        default=5.0, gt=0, description="how often a waiting subflow's job is read again, in s"
    )
    linger_s: float = Field(
        default=900.0, gt=0, description="how long to wait for sites before parking, in s"
    )
    yield_s: float = Field(
        default=10.0,
        gt=0,
        description="the same while other sessions wait for a place at the worker, in s",
    )
    idle_s: float = Field(
        default=45.0,
        gt=0,
        description="how long to wait before parking when all that is left waits for something"
        " else (room, a time, a switch, a site), in s; a tick while others wait for a place",
    )
    subflows: int = Field(
        default=150,
        ge=1,
        description="after how many subflows a successor takes over, once nothing is open but what"
        " waits",
    )
    at_once: int = Field(
        default=64,
        ge=1,
        description="at how many jobs it may be together, those that wait for a site not counted",
    )
    runs_at_once: int = Field(
        default=4, ge=1, description="how many requests for subflows Prefect is sent at a time"
    )
    burst_s: float = Field(
        default=1.0,
        gt=0,
        description="what a subflow for each job may cost Prefect before the jobs of a stage whose"
        " wave is auto share one, in s",
    )
