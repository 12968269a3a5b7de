"""What PostgreSQL can store: text without NUL, JSON without half characters and NaN.

Checked where values come in, so that a stray byte is a named error and never a failed
transaction.
"""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, StringConstraints

MAX_DEPTH = 60
"""How far lists and mappings may be nested in one another."""


def why_not_storable(value: Any, depth: int = 0) -> str | None:
    """What in `value`, however deep, the database could not keep; None when all is well."""
    if depth > MAX_DEPTH:
        return f"nested more than {MAX_DEPTH} deep"
    if isinstance(value, str):
        return _why_not_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is not a number JSON has"
    parts: list[Any] = []
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple):
        parts = list(value)
    reasons = (why_not_storable(part, depth + 1) for part in parts)
    return next((reason for reason in reasons if reason), None)


def _why_not_text(text: str) -> str | None:
    if "\0" in text:
        return f"a NUL character in {text!r:.60}"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return f"half a character in {text!r:.60}"
    return None


def _check(value: Any) -> Any:
    if reason := why_not_storable(value):
        raise ValueError(reason)
    return value


Text = Annotated[str, StringConstraints(max_length=100_000), AfterValidator(_check)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_check)]
Json = Annotated[dict[str, Any], AfterValidator(_check)]
