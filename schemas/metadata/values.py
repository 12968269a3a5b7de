"""The loose values found in real documents, made canonical one field at a time.

`payload_type` has come as a text, a list and a list of lists, a parent as "", null, text and
list, `specimen_pid` as a mapping. A guess is noted as a warning; what cannot be read is refused.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas.metadata.errors import MetadataError
from schemas.metadata.names import DATES, FLAGS, LISTS, Issue, Legality, Part, Publisher
from schemas.times import HOME_ZONE, read_moment, with_zone

_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})


@dataclass(frozen=True)
class Reader:
    """Reads values and collects what it had to assume.

    `as_read`: barcodes were read from codes, in which a line break or a separator at the end
    has a meaning, unlike in typed text.
    """

    as_read: bool = False
    warnings: list[str] = field(default_factory=list)

    def read(self, name: str, value: Any) -> Any:
        """The canonical value of the v3 field `name`; `MetadataError` when there is none."""
        readers: dict[str, Callable[[str, Any], Any]] = {
            **dict.fromkeys(LISTS, self.texts),
            **dict.fromkeys(FLAGS, self.flag),
            **dict.fromkeys(DATES, self.moment),
            "tags": self.tags,
            "external_publishers": self.publishers,
            "issues": self.issues,
            "legality": self.legality,
        }
        how: Callable[[str, Any], Any] = readers.get(name, self.text)
        return how(name, value)

    def note(self, name: str, what: str) -> None:
        self.warnings.append(f"{name}: {what}")

    def text(self, name: str, value: Any) -> str | None:
        """Null for an empty text; of a list the last, as the archive has always been given."""
        if isinstance(value, list | tuple):
            items = self.texts(name, value)
            if len(items) > 1:
                self.note(name, f"a list; the last, {items[-1]!r}, is taken")
            return items[-1] if items else None
        if value is None:
            return None
        if isinstance(value, bool | dict) or not isinstance(value, str | int | float):
            raise _unlike("text", value, "it in quotes", name)
        if not isinstance(value, str):
            self.note(name, f"a number, {value}, read as text")
            value = str(value)
        bare: str = value.strip(" " if self.as_read and name == "barcode" else None)
        if bare != value and bare:
            self.note(name, "spaces around it left out")
        return bare or None

    def texts(self, name: str, value: Any) -> list[str]:
        """A list without empty entries and repeats, of one text, a list of any depth, a mapping."""
        found = (self.text(name, item) for item in self._flat(name, value))
        return list(dict.fromkeys(item for item in found if item is not None))

    def _flat(self, name: str, value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            self.note(name, "a mapping; its values are taken as a list")
            value = list(value.values())
        if isinstance(value, list | tuple):
            for item in value:
                yield from self._flat(name, item)
        else:
            yield value

    def flag(self, name: str, value: Any) -> bool:
        if value is None or value == "":
            return False
        word = str(value).strip().lower()
        if isinstance(value, bool | int | str) and word in _TRUE | _FALSE:
            return word in _TRUE
        raise _unlike("true or false", value, "true or false", name)

    def moment(self, name: str, value: Any) -> datetime | None:
        if value is None or value == "":
            return None
        try:
            if isinstance(value, datetime):
                return with_zone(value)
            if not isinstance(value, str):
                raise ValueError("not a text")
            moment, assumed = read_moment(value)
        except ValueError as error:
            problem = f"{value!r:.60} is not a time ({error})"
            remedy = "Write it as 2024-07-23T20:29:50+02:00"
            raise MetadataError(problem, remedy, field=name) from None
        if assumed:
            self.note(name, f"{value} has no zone; read as the time in {HOME_ZONE}")
        return moment

    def tags(self, name: str, value: Any) -> dict[str, str | None]:
        """A mapping of texts; a null stays one, for it takes a tag away."""
        if value in (None, "", [], ()):
            return {}
        if isinstance(value, list | tuple) and all(isinstance(part, dict) for part in value):
            value = {key: content for part in value for key, content in part.items()}
        if not isinstance(value, dict):
            raise _unlike("a mapping", value, 'it as {"name": "text"}', name)
        return {str(key): self._tag(f"{name}.{key}", content) for key, content in value.items()}

    def _tag(self, name: str, content: Any) -> str | None:
        if content is None or isinstance(content, str):
            return content
        self.note(name, "not a text; kept as JSON")
        return json.dumps(content, ensure_ascii=False)

    def publishers(self, name: str, value: Any) -> list[dict[str, Any]]:
        found = (self._record(name, item, Publisher, "name") for item in _items(value))
        return [publisher for publisher in found if publisher.get("name")]

    def issues(self, name: str, value: Any) -> list[dict[str, Any]]:
        found = (self._record(name, item, Issue, "description") for item in _items(value))
        return [{**issue, "solved": self.flag(name, issue.get("solved"))} for issue in found]

    def legality(self, name: str, value: Any) -> dict[str, Any] | None:
        if value in (None, "", {}, []):
            return None
        if not isinstance(value, dict):
            form = 'it as {"copyright": …, "license": …, "credit": …}'
            raise _unlike("a mapping", value, form, name)
        return self._record(name, value, Legality, "credit")

    def _record(self, name: str, item: Any, part: type[Part], sole: str) -> dict[str, Any]:
        """The known keys of a mapping; anything else is taken as the text of key `sole`."""
        if not isinstance(item, dict):
            return {sole: self.text(name, item)}
        keys = part.model_fields
        for key in item:
            if key not in keys:
                self.note(name, f"unknown key '{key}', kept in the document as it arrived")
        return {
            key: item[key] if key == "solved" else self.text(f"{name}.{key}", item[key])
            for key in keys
            if key in item
        }


def _items(value: Any) -> list[Any]:
    items = value if isinstance(value, list | tuple) else [value]
    return [item for item in items if item not in (None, "", {})]


def _unlike(expected: str, value: Any, remedy: str, name: str) -> MetadataError:
    problem = f"expected {expected}, found {value!r:.60}"
    return MetadataError(problem, f"Write {remedy}", field=name)
