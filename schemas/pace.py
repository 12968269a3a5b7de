"""How fast and how patiently a dispatcher works; a parameter of its deployment."""

from pydantic import BaseModel, ConfigDict, Field


class Pace(BaseModel):
    """Times in seconds.

    `tick_s`: how often to look for work that no event announced; `recheck_s`: how often a
    waiting subflow's job is read again; `linger_s`: how long to wait for sites before
    parking; `subflows`: after how many a successor takes over; `at_once`: how many
    subflows may be open together.
    """

    model_config = ConfigDict(frozen=True)

    tick_s: float = Field(default=3.0, gt=0)
    recheck_s: float = Field(default=5.0, gt=0)
    linger_s: float = Field(default=900.0, gt=0)
    subflows: int = Field(default=150, ge=1)
    at_once: int = Field(default=64, ge=1)
