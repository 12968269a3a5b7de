"""The barcode and the stable identifier of a specimen, from a code that was read.

A code may be a URI (https://cetaf.org/cetaf-stable-identifiers): one of a collection's patterns
knows it, and the part in its round brackets is the barcode. The archive addresses specimens by
barcode in a path, so what cannot be a step of one is no barcode, and a person checks it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_LENGTH = 200
"""Characters of a barcode, and of a code that patterns are tried on: no pattern is slow on it."""
GROUP = "barcode"

_URI = re.compile(r"(?i)[a-z][a-z0-9+.-]*://|(urn|doi|ark|hdl):")
_REPEATED_GROUP = re.compile(r"(?<!\\)(?:\\\\)*\)(?:[*+]|\{\d*,)")
_NO_TEXT = "\N{SYMBOL FOR NULL}\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class UriPattern:
    """What the identifiers of a collection look like; None is every collection's."""

    collection: str | None
    pattern: re.Pattern[str]

    def is_for(self, collection: str) -> bool:
        """Whether it is for specimens of `collection`, however that is capitalised."""
        return self.collection is None or self.collection.casefold() == collection.casefold()

    def barcode(self, text: str) -> str | None:
        """The barcode in an identifier; None when it is not one of these."""
        found = self.pattern.fullmatch(text) if len(text) <= MAX_LENGTH else None
        return (found[GROUP if GROUP in self.pattern.groupindex else 1] or None) if found else None


@dataclass(frozen=True)
class Named:
    """The specimens that codes name. `unknown`: what is no barcode, and why."""

    barcodes: tuple[str, ...] = ()
    pids: Mapping[str, str] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)


def uri_patterns(given: Any) -> tuple[UriPattern, ...]:
    """The patterns as a pipeline's owner writes them: a text, a list, or either by collection.

    Raises ValueError with a text for the owner.
    """
    if isinstance(given, dict):
        return tuple(
            UriPattern(str(name), each.pattern)
            for name, theirs in given.items()
            for each in uri_patterns(_no_mapping(theirs))
        )
    texts = given if isinstance(given, list | tuple) else [given]
    return tuple(UriPattern(None, _compiled(text)) for text in texts)


def _no_mapping(given: Any) -> Any:
    if isinstance(given, dict):
        raise ValueError(f"{given!r:.60} is a mapping within a mapping")
    return given


def _compiled(text: Any) -> re.Pattern[str]:
    if not isinstance(text, str) or not text:
        raise ValueError(f"{text!r:.60} is no pattern: write it as text in single quotes")
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"'{text}' is no pattern ({error})") from None
    if pattern.groups != 1 and GROUP not in pattern.groupindex:
        raise ValueError(
            f"'{text}' has {pattern.groups} groups in round brackets: put one around the barcode, "
            f"or call it (?P<{GROUP}>…); write (?:…) for the others"
        )
    if _REPEATED_GROUP.search(text):
        raise ValueError(f"'{text}' repeats a group, which may take for ever: repeat what is in it")
    return pattern


def is_uri(text: str) -> bool:
    """Whether a code is an identifier of the web rather than a number on a label."""
    return _URI.match(text) is not None


def name_specimens(codes: Iterable[str], patterns: Sequence[UriPattern], collection: str) -> Named:
    """The specimens of one image in the order of their codes, each once.

    A URI and a number that say the same are one specimen, also when only one of them is
    capitalised, as a QR code's smallest alphabet is.
    """
    barcodes: list[str] = []
    pids: dict[str, str] = {}
    unknown: dict[str, str] = {}
    mine = [pattern for pattern in patterns if pattern.is_for(collection)]
    for text in codes:
        found = next(filter(None, (pattern.barcode(text) for pattern in mine)), None)
        barcode = found or text
        if why := _why_no_barcode(barcode):
            unknown[text] = why
            continue
        known = next((b for b in barcodes if _are_one(b, barcode, found or pids.get(b))), barcode)
        if known not in barcodes:
            barcodes.append(known)
        if found:
            pids.setdefault(known, text)
    return Named(tuple(barcodes), pids, unknown)


def _are_one(barcode: str, other: str, from_uri: str | None) -> bool:
    return barcode == other or (bool(from_uri) and barcode.casefold() == other.casefold())


def _why_no_barcode(text: str) -> str | None:
    if is_uri(text):
        return "is a URI that no pattern of its collection knows (params.patterns.uri)"
    if "/" in text or text in (".", ".."):
        return "has a slash, and the archive addresses specimens by barcode in a path"
    if len(text) > MAX_LENGTH:
        return f"is longer than the {MAX_LENGTH} characters of a barcode"
    return "holds bytes that are no text" if set(text) & set(_NO_TEXT) else None
