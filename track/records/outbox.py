"""The outbox: events for Prefect, each kept until its events API has answered 204.

A row is written in the transaction that the event tells of, and deleted by the announcer once it
was sent, so that the table is as small after a million specimens as on the first day. The
event's id stands in the row: however often it is sent, Prefect takes it once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid5

from sqlalchemy import bindparam, delete, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import NAMESPACE, PIPELINE_CHANGED, system_event
from track.records.inbox import Received, receive
from track.schema.arrays import any_of
from track.schema.tables import outbox
from track.schema.waking_function import CHANNEL

TOGETHER = "together"
"""Marks an event in the outbox that waits there for others, so that people are told of all of them
by one message; Prefect never sees the mark."""

PUT = text(f"""
    WITH queued AS (INSERT INTO track.outbox (event) VALUES (:event))
    SELECT pg_notify('{CHANNEL}', '')
""").bindparams(bindparam("event", type_=JSONB))

PUT_ALL = text(f"""
    WITH queued AS (INSERT INTO track.outbox (event)
                    SELECT e.event FROM jsonb_array_elements(:events) WITH ORDINALITY AS e(event, n)
                    ORDER BY e.n)
    SELECT pg_notify('{CHANNEL}', '')
""").bindparams(bindparam("events", type_=JSONB))


@dataclass(frozen=True)
class UnsentEvent:
    """One event that Prefect has not accepted, its row, and its age in seconds."""

    id: int
    event: dict[str, Any]
    age_s: float


@dataclass(frozen=True)
class Backlog:
    """How much Prefect has not accepted, and how old the oldest of it is, in seconds."""

    events: int
    oldest_s: float


async def put(tx: AsyncConnection, event: Mapping[str, Any]) -> None:
    """Have an event sent once this transaction has committed."""
    await tx.execute(PUT, {"event": dict(event)})


async def put_all(tx: AsyncConnection, events: Iterable[Mapping[str, Any]]) -> None:
    """The same of several events, in their order."""
    found = [dict(event) for event in events]
    if found:
        await tx.execute(PUT_ALL, {"events": found})


async def announce(tx: AsyncConnection, event: Mapping[str, Any], *, key: str) -> bool:
    """Have an event sent, once for each `key`; False when that key was announced before."""
    named = dict(event) | {"id": str(uuid5(NAMESPACE, key))}
    resource = event["resource"]["prefect.resource.id"]
    entry = Received(key, resource, "announcement", event["payload"])
    return await receive(tx, entry, "recorded", named) is not None


async def announce_changed(tx: AsyncConnection, pipelines: Iterable[str], *, by: str) -> None:
    """Say which pipelines have a new definition."""
    for name in pipelines:
        payload = {"pipeline": name, "by": by}
        await put(tx, system_event(PIPELINE_CHANGED, "pipeline", name, payload=payload))


async def due(tx: AsyncConnection, limit: int, *, but: Iterable[int] = ()) -> list[UnsentEvent]:
    """What is to be sent, oldest first, leaving out the rows `but`."""
    age = func.extract("epoch", func.now() - outbox.c.created_at).label("age")
    columns = select(outbox.c.id, outbox.c.event, age).order_by(outbox.c.id).limit(limit)
    rows = await tx.execute(columns.where(~any_of(outbox.c.id, but)))
    return [UnsentEvent(row.id, row.event, float(row.age)) for row in rows]


async def delete_sent(tx: AsyncConnection, ids: Iterable[int]) -> None:
    """Drop these rows: the events API has answered 204 for them."""
    await tx.execute(delete(outbox).where(any_of(outbox.c.id, ids)))


async def backlog(tx: AsyncConnection) -> Backlog:
    """What Prefect has not accepted yet."""
    age = func.extract("epoch", func.now() - func.min(outbox.c.created_at))
    found = await tx.execute(select(func.count(outbox.c.id).label("n"), age.label("age")))
    row = found.one()
    return Backlog(row.n, float(row.age or 0))
