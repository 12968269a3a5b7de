"""What pipelines and sites have in common: models a person fills in by hand.

They forbid unknown keys and name the nearest known one; what pydantic finds wrong is
turned into problems with the lines of the file.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from schemas.yaml_lines import Located, Path, Problem, nearest


def refusal(what: str, near: str | None = None) -> PydanticCustomError:
    """The exception of a validator: `what` is wrong, for the file's owner to read."""
    return PydanticCustomError("definition", "{what}", {"what": what, "nearest": near})


class Definition(BaseModel):
    """A frozen piece of a definition file; an unknown key is an error with a suggestion."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _know_every_key(cls, given: Any) -> Any:
        if isinstance(given, dict):
            known = {f.alias or name for name, f in cls.model_fields.items()}
            for key in given:
                if key not in known and key not in cls.model_fields:
                    near = nearest(str(key), known)
                    hint = None if near else f" (known: {', '.join(sorted(known))})"
                    context = {"what": f"unknown key '{key}'{hint or ''}", "nearest": near}
                    raise PydanticCustomError("unknown_key", "{what}", {**context, "key": key})
        return given


D = TypeVar("D", bound=Definition)


def build(
    model: type[D],
    located: Located,
    path: Path,
    given: Any,
    context: Mapping[str, Any] | None = None,
) -> D | list[Problem]:
    """`given`, found at `path`, as a `model`; or what is wrong with it, in the file's order.

    `context` is passed to the validators.
    """
    try:
        return model.model_validate(given, context=None if context is None else dict(context))
    except ValidationError as error:
        found = _without_echoes(error.errors())
        problems = [_problem(located, path, details) for details in found]
        return sorted(problems, key=lambda problem: problem.line)


def _without_echoes(found: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without "too short" of a list whose items are there and were refused themselves."""
    inside = {details["loc"][:n] for details in found for n in range(len(details["loc"]))}
    return [
        details
        for details in found
        if details["type"] != "too_short" or details["loc"] not in inside
    ]


def _problem(located: Located, path: Path, details: ErrorDetails) -> Problem:
    where: Path = (*path, *details["loc"])
    context = details.get("ctx", {})
    ours = details["type"] in ("definition", "unknown_key")
    what = str(context["what"]) if ours else _plain_words(details)
    if details["type"] == "unknown_key":
        where = (*where, context["key"])
    elif details["loc"]:
        what = f"{_dotted(details['loc'])}: {what}"
    return Problem(located.line(where), what, context.get("nearest"))


def _plain_words(details: ErrorDetails) -> str:
    if details["type"] == "missing":
        return "is missing"
    words = details["msg"]
    return words[0].lower() + words[1:] + f" (found {details['input']!r:.60})"


def _dotted(loc: tuple[int | str, ...]) -> str:
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
