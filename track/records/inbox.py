"""The inbox: every callback received, once; dedupe and outbox in one table.

The row is written in the transaction that applies the callback. What is to be
announced to Prefect waits in it until the events API has answered 204.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from track.records.wake import CHANNEL, notify
from track.schema.arrays import any_of
from track.schema.tables import inbox

LONGEST_KEY = 200
"""Characters of a dedupe key; a longer one is replaced by its digest, for the index has a limit."""


# As text: SQLAlchemy compiles an INSERT with ON CONFLICT anew each time, and this one is hot.
RECEIVE = text(f"""
    INSERT INTO track.inbox
        (dedupe_key, path, kind, payload, asset_guid, attempt_id, applied, event)
    VALUES (:dedupe_key, :path, :kind, :payload, :asset_guid, :attempt_id, :applied, :event)
    ON CONFLICT DO NOTHING
    RETURNING id, CASE WHEN event IS NOT NULL THEN pg_notify('{CHANNEL}', '') END
""").bindparams(bindparam("payload", type_=JSONB), bindparam("event", type_=inbox.c.event.type))


@dataclass(frozen=True)
class Received:
    """One callback, as it came and as it was understood."""

    dedupe_key: str
    path: str
    kind: str
    payload: Mapping[str, Any]
    asset_guid: str | None = None
    attempt_id: int | None = None


async def receive(
    tx: AsyncConnection,
    inbox_entry: Received,
    how: str = "recorded",
    event: Mapping[str, Any] | None = None,
) -> int | None:
    """Write the callback down; its row's id, or None when it was received before.

    `how` and `event` say what becomes of it where that is known already; else `applied` does.
    """
    row = {
        "dedupe_key": _bounded(inbox_entry.dedupe_key),
        "path": inbox_entry.path,
        "kind": inbox_entry.kind,
        "payload": dict(inbox_entry.payload),
        "asset_guid": inbox_entry.asset_guid,
        "attempt_id": inbox_entry.attempt_id,
        "applied": how,
        "event": None if event is None else dict(event),
    }
    found = (await tx.execute(RECEIVE, row)).one_or_none()
    return None if found is None else int(found.id)


def _bounded(key: str) -> str:
    return key if len(key) <= LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()


async def applied(
    tx: AsyncConnection, row_id: int, how: str, event: Mapping[str, Any] | None = None
) -> None:
    """Note what became of a callback, and what is to be announced of it."""
    values: dict[str, Any] = {"applied": how}
    if event is not None:
        values["event"] = dict(event)
    await tx.execute(update(inbox).where(inbox.c.id == row_id).values(values))
    if event is not None:
        await notify(tx)


async def unannounced(tx: AsyncConnection, limit: int = 200) -> list[tuple[int, dict[str, Any]]]:
    """(row, event) of what the events API has not accepted yet, oldest first."""
    waiting = inbox.c.announced_at.is_(None) & inbox.c.event.is_not(None)
    columns = select(inbox.c.id, inbox.c.event).where(waiting).order_by(inbox.c.id)
    return [(row.id, row.event) for row in await tx.execute(columns.limit(limit))]


async def mark_announced(tx: AsyncConnection, ids: list[int]) -> None:
    """Note that the events API answered 204 for these rows."""
    await tx.execute(update(inbox).where(any_of(inbox.c.id, ids)).values(announced_at=func.now()))
