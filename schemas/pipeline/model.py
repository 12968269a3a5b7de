"""A pipeline as its owner writes it: a small graph of stages over assets, as data.

`schemas.pipeline.load` reads it from a file and checks it; the database keeps `definition()`, which
is written in the same language and read back by `Pipeline.model_validate`.
"""

import hashlib
import json
import re
import shlex
from functools import cached_property
from graphlib import TopologicalSorter
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictInt,
    StringConstraints,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)

from schemas.definition import Definition, refusal
from schemas.launchers import UnitCost
from schemas.metadata.names import FIELDS, v3_name
from schemas.pipeline.command import TAKEN_FOLDERS
from schemas.pipeline.comparison import Comparison
from schemas.pipeline.run import COMMAND, SWITCHES, Run
from schemas.specimen_codes import uri_patterns
from schemas.yaml_lines import Located, nearest

Accepted: TypeAlias = Literal["done", "excluded", "failed", "cancelled"]

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
# What Slurm takes after --partition=, --account= and --qos=.
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.,+-]{0,127}$")]
Limit = Annotated[StrictInt, Field(ge=1)]
ExitCode = Annotated[StrictInt, Field(ge=0, le=255)]

MAX_WORD = 10_000
"""Characters of one word of a command."""

_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d))?")
_MEMORY = re.compile(r"(\d{1,9})([KMGT]?)", re.IGNORECASE)
_MIB = {"K": 1 / 1024, "": 1, "M": 1, "G": 1024, "T": 1024**2}


class Throttle(Definition):
    """Upper bounds of a pipeline; null is no bound. Sizes in MB of 10^6 bytes."""

    assets_in_flight: Limit | None = None
    open_shares_mb: Limit | None = None
    new_assets_mb: Limit | None = None
    derivatives_mb: Limit | None = None
    synchronising: Limit | None = None


class Resources(Definition):
    """What a stage asks of a scheduler. `time_s` in seconds, `mem_mb` in MiB as Slurm counts.

    `units` is what it takes of an agent's capacity, and `labels` what such an agent must have;
    no other kind of site counts them.
    """

    time_s: Limit | None = Field(None, alias="time")
    mem_mb: Limit | None = Field(None, alias="mem")
    cpus: Limit | None = None
    gpus: Annotated[StrictInt, Field(ge=0)] | None = None
    partition: Label | None = None
    account: Label | None = None
    qos: Label | None = None
    units: UnitCost | None = None
    labels: tuple[Name, ...] | None = None

    @field_validator("time_s", mode="before")
    @classmethod
    def _read_time(cls, given: Any) -> Any:
        """`HH:MM`, `HH:MM:SS`, or a number of minutes (Slurm would read `00:05` as 5 seconds)."""
        if isinstance(given, bool) or not isinstance(given, int | str):
            return given
        if isinstance(given, int):
            return given * 60
        clock = _CLOCK.fullmatch(given.strip())
        if clock is None:
            raise refusal(f"'{given}' is not a time: write HH:MM, HH:MM:SS or minutes")
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        return hours * 3600 + minutes * 60 + seconds

    @field_validator("mem_mb", mode="before")
    @classmethod
    def _read_memory(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        size = _MEMORY.fullmatch(given.strip())
        if size is None:
            raise refusal(f"'{given}' is not a size: write 2G, 500M or a number of MB")
        return round(int(size[1]) * _MIB[size[2].upper()])

    @model_serializer(mode="wrap")
    def _leave_nulls_out(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # A null has no meaning here, and a field with its own serializer is never a default.
        return {key: value for key, value in write(self).items() if value is not None}

    @field_serializer("time_s", when_used="unless-none")
    def _write_time(self, seconds: int) -> str:
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


class Selector(BaseModel):
    """Whose upstream job a stage waits for: its own asset's, its parent's, its children's,
    or that of the asset `dx, dy, dz` away in the lattice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["self", "parent", "children", "offset"] = "self"
    dx: int = 0
    dy: int = 0
    dz: int = 0

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if isinstance(given, str):
            kinds = ("self", "parent", "children")
            if given not in kinds:
                raise refusal(f"no '{given}'", nearest(given, kinds))
            return {"kind": given}
        if isinstance(given, dict) and "kind" not in given:
            return {"kind": "offset", **_offset(given)}
        return given

    @model_serializer
    def _write(self) -> Any:
        if self.kind != "offset":
            return self.kind
        steps = {"x": self.dx, "y": self.dy, "z": self.dz}
        return {axis: step for axis, step in steps.items() if step}


def _offset(given: dict[str, Any]) -> dict[str, int]:
    for axis, step in given.items():
        if axis not in ("x", "y", "z"):
            raise refusal(f"no direction '{axis}', only x, y and z")
        if isinstance(step, bool) or not isinstance(step, int) or abs(step) > 1000:
            raise refusal(f"{axis} must be a whole number of steps, such as +1")
    if not any(given.values()):
        raise refusal("an offset must go somewhere, such as {z: +1}")
    return {f"d{axis}": step for axis, step in given.items()}


SELF = Selector(kind="self")


class Need(Definition):
    """An upstream stage, whose job of it, and the states in which that job will do."""

    stage: Key
    of: Selector = SELF
    accept: tuple[Accepted, ...] = ("done", "excluded")

    @field_validator("accept", mode="before")
    @classmethod
    def _know_the_states(cls, given: Any) -> Any:
        states = get_args(Accepted)
        given = [given] if isinstance(given, str) else given
        if not isinstance(given, list | tuple) or not given:
            raise refusal(f"accept takes a list of {', '.join(states)}")
        for state in given:
            if state not in states:
                raise refusal(f"no state '{state}' to accept", nearest(str(state), states))
        return tuple(state for state in states if state in given)


Wave: TypeAlias = Annotated[StrictInt, Field(ge=1, le=500)] | Literal["auto"]
"""How many jobs of a stage share a subflow in Prefect; auto: each has its own, unless there are
too many at once."""


class Stage(Definition):
    """One step. `on` null is any open site; `writes` are metadata fields in v3 names.

    `outputs` are files that its module leaves in its asset's folder, or its command in its own,
    by path or pattern; they are brought here before it is done. `wave` null is its pipeline's.
    `command` are a program's words, which ends well with one of the codes `expect_exit`;
    `inputs`: the asset's files are brought to the site for it.
    """

    key: Key
    run: Run
    command: tuple[str, ...] = ()
    expect_exit: tuple[ExitCode, ...] = Field((0,), min_length=1)
    inputs: StrictBool = False
    needs: tuple[Need, ...] = ()
    writes: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    resources: Resources = Resources()
    emits: Name | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    on: tuple[Name, ...] | None = None
    covers: tuple[Key, ...] = ()
    retries: Annotated[StrictInt, Field(ge=0, le=20)] = 2
    wave: Wave | None = None
    active: StrictBool = True

    @model_validator(mode="before")
    @classmethod
    def _split_command(cls, given: Any) -> Any:
        """`run: command prog arg` is `run: command` and its words."""
        run = given.get("run") if isinstance(given, dict) else None
        name, _, line = run.strip().partition(" ") if isinstance(run, str) else ("", "", "")
        if name != COMMAND or not line:
            return given
        if "command" in given:
            raise refusal("run: its command stands under `command`; write `run: command`")
        try:
            return {**given, "run": COMMAND, "command": shlex.split(line)}
        except ValueError as error:
            raise refusal(f"run: the command cannot be read: {error}") from None

    @field_validator("command", mode="before")
    @classmethod
    def _are_words(cls, given: Any) -> Any:
        if not isinstance(given, list | tuple) or not given:
            raise refusal("is a list: the program and its arguments")
        for word in given:
            if not isinstance(word, str):
                raise refusal(f"{word} is not a text: write it in quotes")
            if "\0" in word or len(word) > MAX_WORD:
                raise refusal(f"{word!r:.60} is no argument: it has a NUL, or is too long")
        if not given[0].strip():
            raise refusal("its first word is the program")
        return given

    @field_validator("expect_exit", mode="before")
    @classmethod
    def _list_codes(cls, given: Any) -> Any:
        return given if isinstance(given, list | tuple) else [given]

    @field_validator("needs", mode="before")
    @classmethod
    def _list_needs(cls, given: Any) -> Any:
        items = given if isinstance(given, list | tuple) else [given]
        return [{"stage": item} if isinstance(item, str) else item for item in items]

    @field_validator("writes", "outputs", "covers", "on", mode="before")
    @classmethod
    def _list(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @field_validator("writes")
    @classmethod
    def _know_the_fields(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        fields = []
        for name in given:
            field = v3_name(name)
            if field is None:
                raise refusal(f"no metadata field '{name}'", nearest(name, FIELDS))
            if field == "asset_guid":
                raise refusal("no stage may write asset_guid")
            fields.append(field)
        return tuple(fields)

    @field_validator("outputs")
    @classmethod
    def _stay_inside(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in given:
            steps = pattern.split("/")
            if not pattern.isprintable() or any(s in ("", "**") or s[0] == "." for s in steps):
                raise refusal(f"outputs: '{pattern}' is no file such as derived/*.tif")
        return given

    @model_validator(mode="after")
    def _fits_what_it_runs(self) -> Self:
        if self.outputs and self.run.kind not in ("module", "command"):
            raise refusal("outputs: only a module's and a command's are listed and brought here")
        known = SWITCHES.get(self.run.name, frozenset())
        for name, value in self.params.items() if self.run.kind == "builtin" else ():
            if name not in known:
                what = f"params: {self.run.text} knows no '{name}'"
                raise refusal(what, nearest(name, known))
            if not isinstance(value, bool):
                raise refusal(f"params: {name} is true or false")
        return self

    @model_validator(mode="after")
    def _has_a_command_if_it_runs_one(self) -> Self:
        if self.run.kind != "command":
            for name in ("command", "expect_exit", "inputs"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise refusal(f"{name}: only of a stage with `run: command`")
            return self
        if not self.command:
            raise refusal("command: is missing; write the program and its arguments as a list")
        if self.emits:
            raise refusal("emits: a command makes no derivatives")
        if self.key in TAKEN_FOLDERS:
            raise refusal(f"key: a command's folder is called as its stage; '{self.key}' is taken")
        return self

    @field_validator("params")
    @classmethod
    def _know_what_codes_mean(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Of what a module takes, the server itself uses these two."""
        patterns = given.get("patterns")
        if isinstance(patterns, dict) and "uri" in patterns:
            try:
                uri_patterns(patterns["uri"])
            except ValueError as error:
                raise refusal(f"params.patterns.uri: {error}") from None
        if not isinstance(given.get("expected", True), bool):
            raise refusal("params.expected is true or false")
        return given

    @field_validator("on")
    @classmethod
    def _name_a_site(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if given == ():
            raise refusal("name a site, or leave `on` out for any open site")
        return given


class Exclude(Definition):
    """After stage `after`, leave `stages` out of every asset of which `when` is true."""

    after: Key
    when: Comparison
    stages: tuple[Key, ...] = Field(min_length=1)


class Origin:
    """The file and lines a pipeline was read from: no part of what it is, so all are equal."""

    def __init__(self, source: str = "", located: Located | None = None) -> None:
        self.source = source
        self.located = located or Located(None, {(): 1})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin)

    __hash__ = None  # type: ignore[assignment]


class Pipeline(Definition):
    """Its stages, limits and exclusions; see `schemas.pipeline.checks` for what is checked."""

    name: Name = Field(alias="pipeline")
    throttle: Throttle = Throttle()
    stages: tuple[Stage, ...] = Field(min_length=1)
    exclude: tuple[Exclude, ...] = ()
    wave: Wave = 1
    active: StrictBool = True

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @property
    def origin(self) -> Origin:
        return self._origin

    def read_from(self, source: str, located: Located) -> Self:
        """Keep where it was written, for the lines of problems that are found later."""
        self._origin = Origin(source, located)
        return self

    def stage(self, key: str) -> Stage:
        """The stage called `key`; `KeyError` when there is none."""
        return self._by_key[key]

    @cached_property
    def _by_key(self) -> dict[str, Stage]:
        return {stage.key: stage for stage in self.stages}

    @property
    def emits(self) -> str | None:
        """The pipeline of the children this one makes."""
        return next((stage.emits for stage in self.stages if stage.emits), None)

    def upstream(self, key: str) -> set[str]:
        """The stages of this pipeline that `key` waits for, in the same or a neighbouring asset."""
        needs = self.stage(key).needs
        return {need.stage for need in needs if need.of.kind in ("self", "offset")}

    @cached_property
    def depths(self) -> dict[str, int]:
        """How many stages lie before each one on its longest way; 0 for a first stage."""
        graph = {stage.key: self.upstream(stage.key) for stage in self.stages}
        depths: dict[str, int] = {}
        for key in TopologicalSorter(graph).static_order():
            depths[key] = max((depths[up] + 1 for up in graph[key]), default=0)
        return depths

    @cached_property
    def positions(self) -> dict[str, int]:
        """A number per stage, from 0, greater than those of all it waits for."""
        ranked = sorted(self.stages, key=lambda stage: self.depths[stage.key])
        return {stage.key: position for position, stage in enumerate(ranked)}

    def definition(self) -> dict[str, Any]:
        """The canonical form: JSON, defaults left out, read back by `model_validate`."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)

    @cached_property
    def definition_hash(self) -> str:
        """sha256 of the canonical form: the same however the file is laid out."""
        canonical = json.dumps(self.definition(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
