"""History: append-only, one row for everything that ever changed.

Enough to replay any specimen's life; written in the transaction of the change.
"""

from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from track.tables import history


async def record(tx: AsyncConnection, *, actor: str, what: str, **row: Any) -> None:
    """Append one row; keyword names are the columns of `track.history`."""
    await tx.execute(insert(history).values(actor=actor, what=what, **row))
