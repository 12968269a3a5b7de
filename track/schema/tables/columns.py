"""What all tables are made of: their catalogue, and the columns that many have."""

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, MetaData, Table, func, text
from sqlalchemy.schema import SchemaItem

catalogue = MetaData()


def now(name: str) -> Column[Any]:
    """A moment, which is the insert's unless another is given."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def when(name: str) -> Column[Any]:
    """A moment that may still be to come."""
    return Column(name, DateTime(timezone=True))


def numbered() -> Column[int]:
    """The number that the database gives each row."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def index(
    name: str, *columns: Any, where: str = "", unique: bool = False, using: str = "btree"
) -> Index:
    """An index, of all rows or of those `where` says."""
    condition = text(where) if where else None
    return Index(name, *columns, unique=unique, postgresql_where=condition, postgresql_using=using)


def table(name: str, *items: SchemaItem, schema: str = "track") -> Table:
    """A table of the catalogue."""
    return Table(name, catalogue, *items, schema=schema)
