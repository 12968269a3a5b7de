"""What a stage runs: a built-in, a module of ours at a site, any program there, or a script of
the site's own, which calls back by itself."""

import re
import shlex
from collections.abc import Collection
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_serializer, model_validator

from schemas.definition import refusal
from schemas.pipeline.placeholders import placeholders
from schemas.yaml_lines import nearest

BUILTINS = frozenset(
    {"ingest", "create", "upload", "synchronise", "open_share", "close_share", "finalise"}
)
SWITCHES: dict[str, frozenset[str]] = {"finalise": frozenset({"lock"})}
"""The parameters that our own stages know, each true or false; a module knows its own."""
COMMAND = "command"
"""What is written under `run` where the stage has a `command`."""
SCRIPT_FIELDS = frozenset({"guid", "batch", "link", "parent_guid", "pipeline", "stage"})


class Run(BaseModel):
    """`refinery.<name>`, `module <name>`, `command`, or a script's line with `{guid}` in it.

    `name` is the built-in's or the module's short name, "command", or the script's whole line.
    Which modules there are is in the validation's context, under `modules`; without it any may be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["builtin", "module", "command", "script"]
    name: str

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any, info: ValidationInfo) -> Any:
        known = (info.context or {}).get("modules")
        return _parse(given, known) if isinstance(given, str) else given

    @property
    def text(self) -> str:
        """As its owner writes it."""
        prefix = {"builtin": "refinery.", "module": "module "}.get(self.kind, "")
        return prefix + self.name

    @model_serializer
    def _write(self) -> str:
        return self.text

    def words(self, values: dict[str, str]) -> list[str]:
        """The words of a script's command, filled in; join them with `shlex.join` for a shell.

        Each value stays inside the word that names it, whatever characters it has.
        `KeyError` when a field of the command has no value.
        """
        return [word.format_map(values) for word in shlex.split(self.name)]


def _parse(text: str, modules: Collection[str] | None) -> dict[str, str]:
    text = text.strip()
    head, _, rest = text.partition(".")
    if head == "refinery":
        return _known("builtin", rest, BUILTINS, "refinery.")
    if text == COMMAND:
        return {"kind": "command", "name": COMMAND}
    words = text.split()
    if words and words[0] == "module":
        name = " ".join(words[1:])
        return _known("module", name, {name} if modules is None else modules, "module ")
    _check_script(text, modules or ())
    return {"kind": "script", "name": text}


def _known(kind: str, name: str, names: Collection[str], prefix: str) -> dict[str, str]:
    if name not in names:
        near = nearest(name, names)
        what = "built-in" if kind == "builtin" else "module"
        raise refusal(f"no {what} '{prefix}{name}'", near and prefix + near)
    return {"kind": kind, "name": name}


def _check_script(text: str, modules: Collection[str]) -> None:
    if not text.isprintable():
        raise refusal("a command is one line of printable characters")
    try:
        fields = [field for word in shlex.split(text) for field in placeholders(word)]
    except ValueError as error:
        raise refusal(f"the command cannot be read: {error}") from None
    for field in fields:
        if field not in SCRIPT_FIELDS:
            raise refusal(f"a command knows no '{{{field}}}'", nearest(field, SCRIPT_FIELDS))
    if "guid" not in fields:
        known = [COMMAND, *(f"refinery.{name}" for name in BUILTINS)]
        known += [f"module {name}" for name in modules]
        raise refusal(
            f"'{text}' is neither a built-in nor a module, and as a command it needs '{{guid}}'",
            _nearest_run(text, known, modules),
        )


def _nearest_run(text: str, known: list[str], modules: Collection[str]) -> str | None:
    # A bare word is most often the module's name without the word `module` before it.
    for prefix, names in (("module ", modules), ("refinery.", BUILTINS)):
        if text in names:
            return prefix + text
    return nearest(re.sub(r"\s+", " ", text), known)
