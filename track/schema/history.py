"""History: append-only, one row for everything that ever changed.

Enough to replay any specimen's life; written in the transaction of the change.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from track.schema.tables import history


async def record(tx: AsyncConnection, /, *, actor: str, what: str, **row: Any) -> None:
    """Append one row; keyword names are the columns of `track.history`."""
    await tx.execute(insert(history).values(actor=actor, what=what, **row))


async def record_all(
    tx: AsyncConnection, rows: Iterable[Mapping[str, Any]], *, actor: str, what: str
) -> None:
    """Append a row for each of `rows`, which all name the same columns; any number of them."""
    written = [{"actor": actor, "what": what, **row} for row in rows]
    if written:
        await tx.execute(insert(history), written)
