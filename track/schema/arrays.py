"""Lists of any length in a statement: one array parameter instead of one parameter per value.

PostgreSQL takes 65,535 parameters; `column IN (...)` binds one per value, and a session of some
thousand specimens has more jobs than that.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY


def any_of(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`column = ANY(:array)`: whether a column has one of these values, however many."""
    return column == any_(bindparam(None, list(values), type_=ARRAY(column.type), unique=True))


def any_bound(column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """The same for a statement that is written once: the list is bound as `name` when it runs."""
    return column == any_(bindparam(name, type_=ARRAY(column.type)))


def one_of(column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """`column IN ('a', 'b')` with few names of our own, written into the statement.

    An index of rows in these states serves a plan that is made for any parameters only so.
    """
    written: BindParameter[Any] = bindparam(
        None, sorted(values), expanding=True, literal_execute=True, unique=True
    )
    return column.in_(written)


def array_of(names: Iterable[str]) -> str:
    """An array of names of our own as SQL writes it, for a text that is put together once."""
    return f"'{{{','.join(names)}}}'"
