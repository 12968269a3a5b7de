"""Sending alarms to Prefect in the announcer's stead.

The announcer lives in the clusters' API. While that is away nobody would be told so, nor of
anything else; an event that both send is taken by Prefect once.
"""

import logging
from datetime import UTC, datetime

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from sqlalchemy.ext.asyncio import AsyncEngine

from track.records.outbox import delete_sent
from track.reports.alarm_messages import Subject
from track.reports.alarms import is_on
from track.reports.alarms_together import unsent_alarms
from track.schema.database import transact

log = logging.getLogger(__name__)

ANNOUNCER = Subject("service", "clusters")
"""The service in which the announcer lives."""


async def send_unannounced(engine: AsyncEngine) -> int:
    """While the announcer is told of as silent, send what waits of alarms; how many events."""
    if not await transact(engine, is_on, ANNOUNCER):
        return 0
    waiting = await transact(engine, unsent_alarms)
    if not waiting:
        return 0
    now = datetime.now(UTC).isoformat()
    try:
        async with get_client() as client:
            body = [each.event | {"occurred": now} for each in waiting]
            await client.request("POST", "/events", json=body)
    except (httpx.HTTPError, PrefectException) as error:
        log.warning("%d events of alarms wait, Prefect does not take them: %s", len(waiting), error)
        return 0  # they stay, and the next look sends them
    await transact(engine, delete_sent, [each.id for each in waiting])
    return len(waiting)
