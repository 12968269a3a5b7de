"""Events owed to Prefect for what was committed here: written with it, sent by the announcer."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4, uuid5

from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import NAMESPACE, PIPELINE_CHANGED, system_event
from track.inbox import Received, receive


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
