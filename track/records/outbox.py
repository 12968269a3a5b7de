"""Events owed to Prefect for what was committed here: written with it, sent by the announcer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4, uuid5

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import NAMESPACE, PIPELINE_CHANGED, system_event
from track.records.inbox import Received, receive
from track.schema.tables import inbox, session


@dataclass(frozen=True)
class Backlog:
    """How much Prefect has not accepted, and how old the oldest of it is, in seconds."""

    events: int
    oldest_s: float


async def announce(tx: AsyncConnection, event: Mapping[str, Any], *, key: str = "") -> bool:
    """Owe an event from this transaction on; False when `key` was announced before.

    The event's id is made of the key, so that sending it twice is announcing it once.
    """
    unique = key or f"{event['event']}|{uuid4()}"
    named = dict(event) | {"id": str(uuid5(NAMESPACE, unique))}
    resource = event["resource"]["prefect.resource.id"]
    entry = Received(unique, resource, "announcement", event["payload"])
    return await receive(tx, entry, "recorded", named) is not None


async def announce_changed(tx: AsyncConnection, pipelines: Iterable[str], *, by: str) -> None:
    """Say which pipelines have a new definition."""
    for name in pipelines:
        payload = {"pipeline": name, "by": by}
        await announce(tx, system_event(PIPELINE_CHANGED, "pipeline", name, payload=payload))


async def backlog(tx: AsyncConnection) -> Backlog:
    """What Prefect has not accepted yet."""
    c, s = inbox.c, session.c
    rows = select(c.received_at.label("since")).where(
        c.announced_at.is_(None), c.event.is_not(None)
    )
    wakes = select(s.wake_requested_at).where(
        s.wake_requested_at.is_not(None), s.wake_announced_at.is_(None)
    )
    owed = rows.union_all(wakes).subquery()
    age = func.extract("epoch", func.now() - func.min(owed.c.since))
    row = (
        await tx.execute(select(func.count().label("n"), age.label("age")).select_from(owed))
    ).one()
    return Backlog(row.n, float(row.age or 0))
