"""How an agent starts work, and units: what each such way has room for, and what a stage costs.

A launcher is a way to start work: `process`, a child on the agent's own machine, or `scheduler`,
a job of the cluster that it can submit to.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictInt, model_serializer, model_validator

Launcher: TypeAlias = Literal["process", "scheduler"]
LAUNCHERS: tuple[Launcher, ...] = ("process", "scheduler")
"""In the order in which room is looked for: an agent's own machine before its cluster."""

MAX_UNITS = 1_000_000


class Units(BaseModel):
    """Units by launcher."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    process: Annotated[int, Field(ge=0, le=MAX_UNITS)] = 0
    scheduler: Annotated[int, Field(ge=0, le=MAX_UNITS)] = 0

    def of(self, launcher: Launcher) -> int:
        """Those of one launcher."""
        found: int = getattr(self, launcher)
        return found

    def less(self, used: "Units") -> "Units":
        """What is left of these; never less than nothing."""
        return Units(**{name: max(0, self.of(name) - used.of(name)) for name in LAUNCHERS})

    def least(self, other: "Units") -> "Units":
        """The smaller of both, for each launcher."""
        return Units(**{name: min(self.of(name), other.of(name)) for name in LAUNCHERS})


Cost = Annotated[StrictInt, Field(ge=1, le=MAX_UNITS)]


class UnitCost(BaseModel):
    """What a job takes of an agent's capacity: a number, or one for each launcher."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    process: Cost = 1
    scheduler: Cost = 1

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        """A bare number is what it costs either way."""
        if isinstance(given, bool) or not isinstance(given, int):
            return given
        return dict.fromkeys(LAUNCHERS, given)

    @model_serializer
    def _write(self) -> int | dict[str, int]:
        if self.process == self.scheduler:
            return self.process
        return {"process": self.process, "scheduler": self.scheduler}

    def of(self, launcher: Launcher) -> int:
        """What it costs with one launcher."""
        found: int = getattr(self, launcher)
        return found

    @classmethod
    def asked(cls, resources: Mapping[str, Any]) -> Self:
        """What these resources of a stage say; 1 where they say nothing."""
        return cls.model_validate(resources.get("units", 1))
