"""The inbox: every callback received, once, written in the transaction that applies it.

What is to be announced to Prefect of a callback goes into the outbox by the same statement.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from track.schema.waking_function import CHANNEL

LONGEST_KEY = 200
"""Characters of a dedupe key; a longer one is replaced by its digest, for the index has a limit."""

OWING = f"""
    owed AS (INSERT INTO track.outbox (event)
             SELECT event FROM mine, CAST(:event AS jsonb) AS event WHERE event IS NOT NULL
             RETURNING pg_notify('{CHANNEL}', ''))
    SELECT mine.id, owed.* FROM mine LEFT JOIN owed ON true
"""
"""Goes on from `mine`, the row that was written."""

EVENT = bindparam("event", type_=JSONB(none_as_null=True))

# As text: SQLAlchemy compiles an INSERT with ON CONFLICT anew each time, and this one is hot.
RECEIVE = text(f"""
    WITH mine AS (
        INSERT INTO track.inbox (dedupe_key, path, kind, payload, asset_guid, attempt_id, applied)
        VALUES (:dedupe_key, :path, :kind, :payload, :asset_guid, :attempt_id, :applied)
        ON CONFLICT DO NOTHING
        RETURNING id),
    {OWING}
""").bindparams(bindparam("payload", type_=JSONB), EVENT)

APPLIED = text(f"""
    WITH mine AS (UPDATE track.inbox SET applied = :applied WHERE id = :id RETURNING id),
    {OWING}
""").bindparams(EVENT)


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
    row = {"id": row_id, "applied": how, "event": None if event is None else dict(event)}
    await tx.execute(APPLIED, row)
