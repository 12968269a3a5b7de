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

MAX_KEY = 200
"""Characters of a dedupe key; a longer one is replaced by its digest, for the index has a limit."""

EVENT_QUEUED = f"""
    queued AS (INSERT INTO track.outbox (event)
             SELECT event FROM mine, CAST(:event AS jsonb) AS event WHERE event IS NOT NULL
             RETURNING pg_notify('{CHANNEL}', ''))
    SELECT mine.id, queued.* FROM mine LEFT JOIN queued ON true
"""
"""Puts the event into the outbox, if `mine`, the row of the inbox, was written."""

EVENT = bindparam("event", type_=JSONB(none_as_null=True))

# As text: SQLAlchemy compiles an INSERT with ON CONFLICT anew each time, and this one is hot.
RECEIVE = text(f"""
    WITH mine AS (
        INSERT INTO track.inbox (dedupe_key, path, kind, payload, asset_guid, attempt_id, applied)
        VALUES (:dedupe_key, :path, :kind, :payload, :asset_guid, :attempt_id, :applied)
        ON CONFLICT DO NOTHING
        RETURNING id),
    {EVENT_QUEUED}
""").bindparams(bindparam("payload", type_=JSONB), EVENT)

APPLIED = text(f"""
    WITH mine AS (UPDATE track.inbox SET applied = :applied WHERE id = :id RETURNING id),
    {EVENT_QUEUED}
""").bindparams(EVENT)

KNOWN = text("SELECT 1 FROM track.inbox WHERE dedupe_key = :dedupe_key")


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
    event: dict[str, Any] | None = None,
) -> int | None:
    """Write the callback down; its row's id, or None when it was received before.

    `how` and `event` say what becomes of it where that is known already; else `applied` does.
    """
    key, payload = _key(inbox_entry), dict(inbox_entry.payload)
    row = vars(inbox_entry) | {"dedupe_key": key, "payload": payload}
    found = (await tx.execute(RECEIVE, row | {"applied": how, "event": event})).one_or_none()
    return None if found is None else int(found.id)


def _key(inbox_entry: Received) -> str:
    key = inbox_entry.dedupe_key
    return key if len(key) <= MAX_KEY else hashlib.sha256(key.encode()).hexdigest()


async def was_received(tx: AsyncConnection, inbox_entry: Received) -> bool:
    """Whether the same callback was written down before."""
    return (await tx.execute(KNOWN, {"dedupe_key": _key(inbox_entry)})).first() is not None


async def applied(
    tx: AsyncConnection, row_id: int, how: str, event: dict[str, Any] | None = None
) -> None:
    """Note what became of a callback, and what is to be announced of it."""
    await tx.execute(APPLIED, {"id": row_id, "applied": how, "event": event})
