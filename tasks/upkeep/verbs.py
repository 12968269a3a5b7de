"""Operators' verbs by their names: what there is, asking for one, and what became of it.

A verb is a deployment `operate/<verb>` on Prefect's server. The terminal and the board ask for
it here, with the same checks; what they show of it is what the server knows of its parameters.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any, Literal, TypeVar
from uuid import UUID, uuid4

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
)
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from schemas.yaml_lines import nearest
from track.commands.selection import CannotDo

T = TypeVar("T")

FLOW = "operate"
"""The flow's name that all verbs share."""

Kind = Literal["text", "uuid", "integer", "number", "boolean", "mapping", "list"]

POLL_S = 0.5
ASKED_AGAIN = 5
"""Times that a call is repeated whose answer was lost."""

REFUSALS = (409, 422)
"""What Prefect's server answers to parameters that are not the deployment's."""

PAGE = 200
"""Deployments of one answer; Prefect's server gives no more."""

RAISED = re.compile(r"Flow run encountered an exception: (?:[\w.]+: )?")
"""What Prefect writes before the text of an exception."""

YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


class WrongParameter(CannotDo):
    """A parameter that is missing, unknown or cannot be read; its text names it and the remedy."""

    def __init__(self, name: str, remedy: str) -> None:
        super().__init__(f"{name}: {remedy}")
        self.name = name
        self.remedy = remedy


@dataclass(frozen=True)
class VerbParameter:
    """One parameter of a verb. `values` is the kind of what a mapping or a list holds.

    A number is at least `minimum` and at most `maximum`, and more than `more_than`.
    """

    name: str
    kind: Kind
    help: str = ""
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    more_than: float | None = None
    max_length: int | None = None
    values: Kind = "text"

    def read(self, text: str | Sequence[str]) -> Any:
        """The value that a person wrote, as in a form or a terminal. Raises WrongParameter.

        A mapping is JSON, or texts such as `key=value`; a list is JSON, or one text for each.
        """
        if self.kind in ("mapping", "list"):
            return self._read_several([text] if isinstance(text, str) else list(text))
        if not isinstance(text, str):
            raise WrongParameter(self.name, "give it once")
        if self.max_length is not None and len(text) > self.max_length:
            raise WrongParameter(self.name, f"at most {self.max_length} characters")
        if self.choices and text not in self.choices:
            near = nearest(text, self.choices)
            hint = f"did you mean {near!r}?" if near else f"choose of {', '.join(self.choices)}"
            raise WrongParameter(self.name, f"{text!r} is not one of its choices; {hint}")
        return self._within(self._read_one(self.kind, text))

    def _read_several(self, texts: Sequence[str]) -> Any:
        mapping = self.kind == "mapping"
        if len(texts) == 1 and texts[0].lstrip().startswith("{" if mapping else "["):
            try:
                return json.loads(texts[0])
            except ValueError as error:
                raise WrongParameter(self.name, f"it is no JSON ({error})") from None
        if not mapping:
            return [self._read_one(self.values, text) for text in texts]
        pairs = [text.partition("=") for text in texts]
        if any(not key or not equals for key, equals, _ in pairs):
            raise WrongParameter(self.name, "write each as key=value, or all of them as JSON")
        return {key: self._read_one(self.values, value) for key, _, value in pairs}

    def _read_one(self, kind: Kind, text: str) -> Any:
        try:
            match kind:
                case "integer":
                    return int(text)
                case "number" if isfinite(number := float(text)):
                    return number
                case "number":
                    raise ValueError(text)
                case "uuid":
                    return str(UUID(text))
        except ValueError:
            wanted = {"integer": "a whole number", "number": "a number", "uuid": "an id"}[kind]
            raise WrongParameter(self.name, f"{text!r} is not {wanted}") from None
        if kind == "boolean":
            if text.lower() not in YES + NO:
                raise WrongParameter(self.name, f"{text!r} is neither yes nor no")
            return text.lower() in YES
        return text

    def _within(self, value: Any) -> Any:
        if isinstance(value, int | float):
            if self.more_than is not None and value <= self.more_than:
                raise WrongParameter(self.name, f"more than {self.more_than:g}")
            if self.minimum is not None and value < self.minimum:
                raise WrongParameter(self.name, f"at least {self.minimum:g}")
            if self.maximum is not None and value > self.maximum:
                raise WrongParameter(self.name, f"at most {self.maximum:g}")
        return value


@dataclass(frozen=True)
class Verb:
    """Something an operator may do, and what it must be told."""

    name: str
    help: str
    parameters: tuple[VerbParameter, ...]

    def parameter(self, name: str) -> VerbParameter:
        """A parameter by its name. Raises WrongParameter with the nearest name."""
        known = {each.name: each for each in self.parameters}
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near!r}?" if near else f"it has {', '.join(known)}"
            raise WrongParameter(name, f"{self.name} has no such parameter; {hint}")
        return known[name]

    def read(self, texts: Mapping[str, str | Sequence[str]]) -> dict[str, Any]:
        """The parameters of a form's or a command's texts; an empty one was not given.

        Raises WrongParameter.
        """
        given = {name: text for name, text in texts.items() if text}
        values = {name: self.parameter(name).read(text) for name, text in given.items()}
        for each in self.parameters:
            if each.required and each.name not in values:
                raise WrongParameter(each.name, f"it is needed; {each.help or 'give a value'}")
        return values


@dataclass(frozen=True)
class VerbResult:
    """A run of a verb as it stands: its state, what that says, and what it did, row by row.

    `state` is Prefect's name of it. `pages` are the markdown texts that the run left.
    """

    run_id: UUID
    state: str
    message: str
    ended: bool
    done: bool
    rows: tuple[dict[str, Any], ...] = ()
    pages: tuple[str, ...] = ()


def verb_of(name: str, help: str, schema: Mapping[str, Any]) -> Verb:
    """A verb, from the JSON schema that Prefect makes of its flow's signature and docstring."""
    required = schema.get("required", ())
    properties = sorted(schema["properties"].items(), key=lambda each: each[1].get("position", 0))
    parameters = [_parameter(name, given, name in required) for name, given in properties]
    return Verb(name, " ".join(help.split()), tuple(parameters))


async def read_verbs(client: PrefectClient) -> list[Verb]:
    """Every verb that is deployed, by name."""
    of_verbs = FlowFilter(name=FlowFilterName(any_=[FLOW]))
    found = await client.read_deployments(flow_filter=of_verbs, limit=PAGE)
    return sorted(
        (verb_of(d.name, d.description or "", d.parameter_openapi_schema or {}) for d in found),
        key=lambda verb: verb.name,
    )


async def start_verb(
    client: PrefectClient, verb: str, parameters: Mapping[str, Any], *, key: str | None = None
) -> UUID:
    """Ask for a run of a verb; the run's id. With the `key` of an earlier call: that one's run.

    A call whose answer was lost is repeated, and makes no second run. Raises CannotDo for an
    unknown verb, and for parameters that are not the verb's.
    """
    key = f"{FLOW}/{verb}/{key or uuid4()}"
    try:
        deployment = await _repeated(partial(client.read_deployment_by_name, f"{FLOW}/{verb}"))
    except ObjectNotFound:
        names = [each.name for each in await read_verbs(client)]
        near = nearest(verb, names)
        hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(names) or 'none'}"
        raise CannotDo(f"verb: no {verb!r}; {hint}") from None
    create = client.create_flow_run_from_deployment
    try:
        run = await _repeated(
            partial(create, deployment.id, parameters=dict(parameters), idempotency_key=key)
        )
    except PrefectHTTPStatusError as error:
        if error.response.status_code not in REFUSALS:
            raise
        raise CannotDo(_refusal(error.response)) from None
    return run.id


async def _repeated(call: Callable[[], Awaitable[T]]) -> T:
    """The answer of a call that may be repeated, which it is while its answer is lost."""
    for _ in range(ASKED_AGAIN):
        with suppress(httpx.TransportError):
            return await call()
        await asyncio.sleep(POLL_S)
    return await call()


async def verb_result(client: PrefectClient, run_id: UUID) -> VerbResult:
    """What became of a run so far; its rows are there once it has ended."""
    return await _result(client, await client.read_flow_run(run_id))


async def await_verb(
    client: PrefectClient, run_id: UUID, *, progress: Callable[[str], None] | None = None
) -> VerbResult:
    """Wait for the end of a run, however long it takes; Prefect may be away meanwhile.

    `progress` is told of each new state.
    """
    said = ""
    while True:
        try:
            run = await client.read_flow_run(run_id)
            if run.state and run.state.is_final():
                return await _result(client, run)
            state = _state_name(run)
        except httpx.TransportError:
            state = "Prefect is away"
        if state != said and progress is not None:
            progress(state)
        said = state
        await asyncio.sleep(POLL_S)


async def _result(client: PrefectClient, run: FlowRun) -> VerbResult:
    state = run.state
    if state is None or not state.is_final():
        return VerbResult(run.id, _state_name(run), "", ended=False, done=False)
    mine = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
    left = await client.read_artifacts(artifact_filter=mine, limit=PAGE)
    return VerbResult(
        run_id=run.id,
        state=_state_name(run),
        message=RAISED.sub("", state.message or "", count=1),
        ended=True,
        done=state.is_completed(),
        rows=tuple(row for each in left if each.type == "table" for row in _rows(each)),
        pages=tuple(str(each.data) for each in left if each.type == "markdown"),
    )


def _state_name(run: FlowRun) -> str:
    return (run.state.name if run.state else None) or "Pending"


def _rows(artifact: Artifact) -> list[dict[str, Any]]:
    data: Any = artifact.data
    return list(json.loads(data)) if isinstance(data, str) else list(data or [])


def _refusal(response: httpx.Response) -> str:
    try:
        detail = response.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = response.text
    return str(detail).removeprefix("Error creating flow run: ")


def _parameter(name: str, given: Mapping[str, Any], required: bool) -> VerbParameter:
    own = next((each for each in given.get("anyOf", ()) if each.get("type") != "null"), given)
    held = own.get("additionalProperties") or own.get("items") or {}
    return VerbParameter(
        name=name,
        kind=_kind(own),
        help=" ".join(str(given.get("description", "")).split()),
        required=required,
        default=given.get("default"),
        choices=tuple(own.get("enum", ())) or ((own["const"],) if "const" in own else ()),
        minimum=own.get("minimum"),
        maximum=own.get("maximum"),
        more_than=own.get("exclusiveMinimum"),
        max_length=own.get("maxLength"),
        values=_kind(held) if isinstance(held, dict) else "text",
    )


def _kind(own: Mapping[str, Any]) -> Kind:
    if own.get("format") == "uuid":
        return "uuid"
    kinds: dict[str, Kind] = {
        "integer": "integer", "number": "number", "boolean": "boolean", "object": "mapping",
        "array": "list",
    }  # fmt: skip
    return kinds.get(str(own.get("type")), "text")
