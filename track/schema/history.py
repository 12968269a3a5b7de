"""History: append-only, one row for everything that ever changed.

Enough to replay any specimen's life; written in the transaction of the change.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Insert, Text, bindparam, func, insert, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from track.schema.tables import history


async def record(tx: AsyncConnection, /, *, actor: str, what: str, **row: Any) -> None:
    """Append one row; keyword names are the columns of `track.history`."""
    await tx.execute(insert(history).values(actor=actor, what=what, **row))


async def record_all(
    tx: AsyncConnection, rows: Iterable[Mapping[str, Any]], *, actor: str, what: str
) -> None:
    """Append a row for each of `rows`, which all name the same columns; any number of them."""
    entries = list(rows)
    if entries:
        values = {name: [each[name] for each in entries] for name in entries[0]}
        statement = _recording_all(tuple(values))
        await tx.execute(statement, {"actor": actor, "what": what, **values})


@lru_cache(maxsize=64)
def _recording_all(columns: tuple[str, ...]) -> Insert:
    """One statement for any number of rows: an array for each of these columns."""
    arrays = [bindparam(name, type_=ARRAY(history.c[name].type)) for name in columns]
    given = func.unnest(*arrays).table_valued(*columns).render_derived()
    same = [bindparam(name, type_=Text) for name in ("actor", "what")]
    source = select(*same, *(given.c[name] for name in columns))
    return insert(history).from_select(["actor", "what", *columns], source)
