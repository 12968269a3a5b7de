"""How fast and how patiently a dispatcher works; a parameter of its deployment."""

from pydantic import BaseModel, ConfigDict, Field


class Pace(BaseModel):
    """Times in seconds.

    `tick_s`: how often to look for work that no event announced; `recheck_s`: how often a
    waiting subflow's job is read again; `linger_s`: how long to wait for sites before
    parking, and `yield_s`: how long while other sessions wait for a place at the worker;
    `idle_s`: how long when all that is left waits for something else (room, a time, a switch,
    a site), a tick while others wait for a place; `subflows`: after how many a successor
    takes over, once nothing is open but what waits; `at_once`: at how many jobs it may be
    together, those that wait for a site not counted; `runs_at_once`: how many requests for
    subflows Prefect is sent at a time; `burst_s`: what a subflow for each job may cost Prefect,
    before those of a stage whose `wave` is auto share one.
    """

    model_config = ConfigDict(frozen=True)

    tick_s: float = Field(default=3.0, gt=0)
    recheck_s: float = Field(default=5.0, gt=0)
    linger_s: float = Field(default=900.0, gt=0)
    yield_s: float = Field(default=10.0, gt=0)
    idle_s: float = Field(default=45.0, gt=0)
    subflows: int = Field(default=150, ge=1)
    at_once: int = Field(default=64, ge=1)
    runs_at_once: int = Field(default=4, ge=1)
    burst_s: float = Field(default=1.0, gt=0)
