"""What a digitiser chooses for a session, kept for the next one at the same workstation."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from schemas.digitisation import Values
from schemas.storable import why_not_storable
from schemas.yaml_lines import nearest
from workstation.files import write_whole
from workstation.places import private_folder
from workstation.problems import translated

LONGEST_TEXT = 200


class Choices(BaseModel):
    """What is true of all specimens of a session. Digitisers and funding are free text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    institution: str
    collection: str
    preparation_type: str
    pipeline: str
    funding: tuple[str, ...] = ()
    digitiser: str
    other_digitisers: tuple[str, ...] = ()
    payload_type: str


@dataclass(frozen=True, slots=True)
class ChoiceProblem:
    """A choice that cannot be made: its field, its value, why, and the nearest that is offered."""

    field: str
    value: str
    what: str
    nearest: str | None = None

    def __str__(self) -> str:
        hint = f"; nearest is '{self.nearest}'" if self.nearest else ""
        return f"{self.field}: {self.what}{hint}"


def check_choices(choices: Choices, values: Values) -> list[ChoiceProblem]:
    """Everything in `choices` that the workstation is not offered, or that cannot be written."""
    collections = [each.name for each in values.collections]
    found = [
        why_not_offered("institution", choices.institution, (values.institution,)),
        why_not_offered("collection", choices.collection, collections),
        why_not_offered("payload_type", choices.payload_type, values.payload_types),
    ]
    if (collection := values.collection(choices.collection)) is not None:
        found.append(why_not_offered("pipeline", choices.pipeline, collection.pipelines))
        kinds = collection.preparation_types
        found.append(why_not_offered("preparation_type", choices.preparation_type, kinds))
    found += _free_texts(choices)
    return [problem for problem in found if problem is not None]


def why_not_offered(field: str, value: str, offered: Iterable[str]) -> ChoiceProblem | None:
    """What is wrong with a choice that is not among those offered; None: it is."""
    known = tuple(offered)
    if value in known:
        return None
    near = nearest(value, known)
    others = "" if near else f"; offered are {', '.join(known) or 'none'}"
    return ChoiceProblem(field, value, f"'{value}' is not offered here{others}", near)


def _free_texts(choices: Choices) -> Iterator[ChoiceProblem | None]:
    if not choices.digitiser.strip():
        yield ChoiceProblem("digitiser", choices.digitiser, "is empty; name who photographed")
    else:
        yield _writable("digitiser", choices.digitiser)
    for field in ("other_digitisers", "funding"):
        for text in getattr(choices, field):
            empty = ChoiceProblem(field, text, "has an empty entry; take it out")
            yield _writable(field, text) if text.strip() else empty


def _writable(field: str, text: str) -> ChoiceProblem | None:
    if len(text) > LONGEST_TEXT:
        what = f"has {len(text)} characters, more than {LONGEST_TEXT}; shorten it"
        return ChoiceProblem(field, text, what)
    if why := why_not_storable(text):
        return ChoiceProblem(field, text, f"cannot be kept: {why}; type it again")
    return None


class RememberedChoices:
    """The last choices of each workstation, in one JSON file.

    They only spare typing: a file that cannot be understood counts as none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def of(self, workstation: str) -> Choices | None:
        """What was chosen last there; None when nothing was. Raises WorkstationError."""
        try:
            return Choices.model_validate(self._all().get(workstation))
        except ValidationError:
            return None

    def remember(self, workstation: str, choices: Choices) -> None:
        """Keep them for the next session there. Raises WorkstationError."""
        every = {**self._all(), workstation: choices.model_dump(mode="json")}
        private_folder(self._path.parent)
        write_whole(self._path, json.dumps(every, ensure_ascii=False, indent=2).encode())

    def _all(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            return {}
        except OSError as error:
            raise translated(error, self._path) from error
        return found if isinstance(found, dict) else {}
