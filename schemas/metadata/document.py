"""What is known of an asset: the canonical document, version 3.0.4.

Documents of v2.1.0 and of any v3 are read into it. Nothing is lost: the document is kept as
it arrived, next to the canonical one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from schemas.metadata.errors import MetadataError
from schemas.metadata.names import FIELDS, RENAMED, REQUIRED, V2_ONLY, DocumentFields, v3_name
from schemas.metadata.text import read_json, read_text, unmangle
from schemas.metadata.values import Reader
from schemas.storable import why_not_storable
from schemas.yaml_lines import nearest

__all__ = ["Arrived", "Change", "Metadata", "MetadataError", "read_document"]


@dataclass(frozen=True, slots=True)
class Change:
    """One field, or one tag as `tags.<key>`, before and after, as JSON."""

    field: str
    old: Any
    new: Any


class Metadata(DocumentFields):
    """One asset's metadata."""

    @property
    def parent_guid(self) -> str | None:
        """The asset it was made of, if it is a derivative."""
        return self.parent_guids[0] if self.parent_guids else None

    def canonical(self) -> dict[str, Any]:
        """Every field as JSON, read back by `Metadata.model_validate`."""
        return self.model_dump(mode="json")

    def apply(
        self, changes: Mapping[str, Any], whitelist: Iterable[str]
    ) -> "tuple[Metadata, list[Change]]":
        """The document after `changes`, and what really changed.

        Names are of either version; only those of `whitelist` are applied (`outside` names
        the rest). `tags.<key>`, or a mapping under `tags`, goes into the tags one by one and
        never replaces them; a null takes a tag away. Applied again it changes nothing.
        Raises `MetadataError` for a value that cannot be read.
        """
        allowed = _allowed(whitelist)
        reader = Reader(as_read=True)
        values: dict[str, Any] = {}
        tags: dict[str, str | None] = {}
        for name, field in _in_order(changes):
            if field == "tags" or field.startswith("tags."):
                tags |= _permitted_tags(reader, name, field, changes[name], allowed)
            elif field in allowed:
                values[field] = _read(reader, name, field, changes[name])
        if tags:
            values["tags"] = {k: v for k, v in {**self.tags, **tags}.items() if v is not None}
        after = _checked({**self.model_dump(), **values})
        return after, _differences(self.canonical(), after.canonical())

    @staticmethod
    def outside(changes: Mapping[str, Any], whitelist: Iterable[str]) -> list[str]:
        """The names in `changes` that `whitelist` does not let through, in full or in part."""
        allowed = _allowed(whitelist)
        left_out: list[str] = []
        for name, value in changes.items():
            field = v3_name(name)
            if field == "tags" and field not in allowed and isinstance(value, dict):
                left_out += [f"tags.{key}" for key in value if f"tags.{key}" not in allowed]
            elif field is None or not _lets_through(allowed, field):
                left_out.append(name)
        return left_out


@dataclass(frozen=True, slots=True)
class Arrived:
    """A document read: canonical, as it arrived, its version, and what had to be assumed."""

    metadata: Metadata
    version: Literal["2.1.0", "3"]
    document: dict[str, Any]
    warnings: tuple[str, ...]


def read_document(raw: bytes | str | Mapping[str, Any], *, file: str | None = None) -> Arrived:
    """Read a v2.1.0 or v3 document; times without a zone are local times in HOME_ZONE.

    Raises `MetadataError` naming `file`, line or field, and remedy.
    """
    reader = Reader()
    try:
        if isinstance(raw, bytes):
            raw = read_text(raw, reader.warnings)
        document = read_json(raw) if isinstance(raw, str) else dict(raw)
        if reason := why_not_storable(document):
            raise MetadataError(reason, "Take it out and drop the file again")
        metadata = _checked(_values(document, reader))
    except MetadataError as error:
        error.file = file
        raise
    is_v2 = any(key in RENAMED or key in V2_ONLY for key in document)
    return Arrived(metadata, "2.1.0" if is_v2 else "3", document, tuple(reader.warnings))


def _values(document: Mapping[str, Any], reader: Reader) -> dict[str, Any]:
    """The canonical values of every known field, whichever version's name it has."""
    mended = unmangle(dict(document), reader.warnings)
    values: dict[str, Any] = {}
    for name, field in _in_order(mended):
        if field not in FIELDS:  # a dotted name belongs to changes, not to documents
            continue
        value = _read(reader, name, field, mended[name])
        if field in values and values[field] != value:
            reader.note(name, f"{field} says otherwise and is taken")
        values[field] = value
    for name in mended:
        _remark_on_unknown(reader, name, mended[name])
    if "tags" in values:
        values["tags"] = {k: v for k, v in values["tags"].items() if v is not None}
    return values


def _in_order(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Known names and their fields, v2's first, so that a v3 name overrides it."""
    known = [(name, field) for name in document if (field := v3_name(name)) is not None]
    return sorted(known, key=lambda pair: pair[0] == pair[1])


def _remark_on_unknown(reader: Reader, name: str, value: Any) -> None:
    field = v3_name(name)
    if name == "_id" or (field is not None and field in FIELDS):
        return
    if name not in V2_ONLY:
        near = nearest(name, FIELDS)
        hint = f"; nearest is '{near}'" if near else ""
        reader.note(name, f"unknown field, kept in the document as it arrived{hint}")
    elif value not in (None, ""):
        reader.note(name, "has no place in v3; kept in the document as it arrived")


def _read(reader: Reader, name: str, field: str, value: Any) -> Any:
    if reason := why_not_storable(value):
        raise MetadataError(reason, "Take it out", field=name)
    try:
        return reader.read(field, value)
    except MetadataError as error:
        error.field = name
        raise


def _checked(values: dict[str, Any]) -> Metadata:
    try:
        return Metadata.model_validate(values)
    except ValidationError as error:
        details = error.errors()[0]
        field = str(details["loc"][0])
        if field in REQUIRED and values.get(field) is None:
            problem, remedy = "is missing", "Every document needs it"
        else:
            problem, remedy = details["msg"].removeprefix("Value error, "), "Correct it"
        raise MetadataError(problem, remedy, field=field) from None


def _allowed(whitelist: Iterable[str]) -> set[str]:
    return {field for name in whitelist if (field := v3_name(name)) is not None}


def _lets_through(allowed: set[str], field: str) -> bool:
    return field in allowed or (field.startswith("tags.") and "tags" in allowed)


def _permitted_tags(
    reader: Reader, name: str, field: str, value: Any, allowed: set[str]
) -> dict[str, str | None]:
    given = value if field == "tags" else {field.removeprefix("tags."): value}
    tags: dict[str, str | None] = _read(reader, name, "tags", given)
    return {key: text for key, text in tags.items() if _lets_through(allowed, f"tags.{key}")}


def _differences(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    old = {**before, **{f"tags.{key}": text for key, text in before["tags"].items()}}
    new = {**after, **{f"tags.{key}": text for key, text in after["tags"].items()}}
    return [
        Change(field, old.get(field), new.get(field))
        for field in sorted(old.keys() | new.keys())
        if field != "tags" and old.get(field) != new.get(field)
    ]
