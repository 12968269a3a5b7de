"""A verb's form: what was written into it, what of that cannot be meant, what it would do."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from board.acting.sentences import sentence
from board.context import Board
from schemas.storable import why_not_storable
from tasks.upkeep.verbs import Verb, VerbParameter, WrongParameter
from track.commands.selection import CannotDo

OWN = frozenset({"by", "csrf", "told", "seen"})
"""Fields that are the page's: who acts is known by the login and never read from a form."""
LONGEST = 20_000
OPEN_FOR = timedelta(days=1)
"""A form that was open for longer counts as opened that long ago."""


@dataclass(frozen=True)
class VerbForm:
    """A verb's form as somebody filled it in.

    `values` is what can be meant, `faults` a sentence for each field of which that cannot be said
    (the empty name: of the whole); `will` says what would happen.
    """

    verb: Verb
    texts: Mapping[str, str]
    values: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    will: str = ""

    @property
    def fields(self) -> list[VerbParameter]:
        """What is asked for, `by` left out."""
        return [each for each in self.verb.parameters if each.name not in OWN]

    @property
    def told(self) -> str:
        """A mark of what the sentence was about: a form that was changed since has another."""
        meant = {name: value for name, value in self.values.items() if name != "why"}
        text = json.dumps([self.verb.name, meant], sort_keys=True, default=str)
        return sha256(text.encode()).hexdigest()[:32]


async def read_form(
    here: Board, verb: Verb, given: Iterable[tuple[str, str]], *, by: str, all_needed: bool
) -> VerbForm:
    """A form as it was sent, or as a link fills it in: that need not name everything yet."""
    texts = {name: text.strip() for name, text in given if name not in OWN}
    faults: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, text in texts.items():
        if not text:
            continue
        try:
            values[name] = _value(verb.parameter(name), text)
        except WrongParameter as wrong:
            faults[wrong.name] = str(wrong)
    for each in verb.parameters:
        if all_needed and each.required and not texts.get(each.name) and each.name not in OWN:
            faults[each.name] = f"{each.name}: it is needed; {each.help or 'give a value'}"
    will = ""
    if not faults:
        try:
            will = await sentence(here, verb, values)
        except CannotDo as cannot:
            faults[_field(verb, str(cannot))] = str(cannot)
    return VerbForm(verb, texts, values, faults, will)


def _value(parameter: VerbParameter, text: str) -> Any:
    """Raises WrongParameter."""
    if len(text) > LONGEST:
        raise WrongParameter(parameter.name, f"at most {LONGEST:,} characters")
    if reason := why_not_storable(text):
        raise WrongParameter(parameter.name, f"it cannot be kept ({reason}); write it again")
    if parameter.kind in ("mapping", "list") and not text.startswith(("{", "[")):
        return parameter.read([line.strip() for line in text.splitlines() if line.strip()])
    return parameter.read(text)


def _field(verb: Verb, fault: str) -> str:
    """The field that a sentence is about, which begins with its name; empty: several, or none."""
    name = fault.partition(":")[0]
    return name if any(each.name == name for each in verb.parameters) else ""


def read_seen(text: str) -> datetime:
    """When a form was opened, as the form says; what it cannot say is taken for a day ago."""
    now = datetime.now(UTC)
    try:
        seen = datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        return now - OPEN_FOR
    return min(max(seen, now - OPEN_FOR), now)
