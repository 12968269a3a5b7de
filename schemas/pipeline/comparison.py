"""One comparison over metadata, all that an `exclude` rule may contain.

`asset_subject == 'device target'`: a field, an operator, a value as YAML writes it.
"""

import json
import operator
import re
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, model_serializer, model_validator

from schemas.definition import refusal
from schemas.metadata.names import FIELDS, v3_name
from schemas.yaml_lines import DefinitionError, nearest, read_value

Operator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"]

_FORM = re.compile(
    r"\s*(?P<field>[\w.-]+?)\s*(?P<op>==|!=|<=|>=|<|>|\bnot\s+in\b|\bin\b)\s*(?P<value>.*?)\s*",
    re.DOTALL,
)


_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Comparison(BaseModel):
    """`field op value`, with the field in its v3 name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str
    op: Operator
    value: Any

    @model_validator(mode="before")
    @classmethod
    def _read(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        form = _FORM.fullmatch(given)
        if form is None:
            raise refusal(f"'{given}' is not one comparison such as: field == 'value'")
        field = v3_name(form["field"])
        if field is None:
            near = nearest(form["field"], FIELDS)
            raise refusal(f"no metadata field '{form['field']}'", near)
        op, value = " ".join(form["op"].split()), _value(form["value"])
        if (op in ("in", "not in")) != isinstance(value, list):
            raise refusal(f"'{op}' {'needs' if 'in' in op else 'takes no'} list: '{given}'")
        return {"field": field, "op": op, "value": value}

    def holds(self, metadata: dict[str, Any]) -> bool:
        """Whether it is true of a v3 document; an absent field counts as null.

        A field that is a list equals a value when one of its items does, so that
        `preparation_type == pinned` means what it says. Values that have no order
        in common are never less or greater.
        """
        found = self._found(metadata)
        candidates = (found or [None]) if isinstance(found, list) else [found]
        match self.op:
            case "==":
                return self.value in candidates
            case "!=":
                return self.value not in candidates
            case "in":
                return any(candidate in self.value for candidate in candidates)
            case "not in":
                return not any(candidate in self.value for candidate in candidates)
            case _:
                return any(_ordered(candidate, self.op, self.value) for candidate in candidates)

    def _found(self, metadata: dict[str, Any]) -> Any:
        field, _, key = self.field.partition(".")
        found = metadata.get(field)
        if key:
            return found.get(key) if isinstance(found, dict) else None
        return found

    @model_serializer
    def __str__(self) -> str:
        # JSON is YAML, so what is written here is read back as the same comparison.
        return f"{self.field} {self.op} {json.dumps(self.value, ensure_ascii=False)}"


def _value(text: str) -> Any:
    try:
        value = read_value(text) if text else ""
    except DefinitionError as error:
        raise refusal(f"'{text}' is not a value: {error.problems[0].what}") from None
    items = value if isinstance(value, list) else [value]
    if not text or any(isinstance(item, dict | list) for item in items):
        raise refusal(f"'{text}' is neither a word, a number nor a list of them")
    return value


def _ordered(left: Any, op: str, right: Any) -> bool:
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        return False
    return bool(_ORDERS[op](left, right))
