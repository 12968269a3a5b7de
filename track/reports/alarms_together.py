"""Telling people of alarms that began, go on or ended at about the same time by one message.

The network away, and with it three sites and the archive, is one trouble to whoever reads of it.
"""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.records.outbox import TOGETHER, put_all
from track.reports.alarm_messages import told_together

TAKE = text("""
    WITH taken AS (DELETE FROM track.outbox WHERE id = ANY(:ids) RETURNING id, event)
    SELECT event FROM taken ORDER BY id
""")


async def release(tx: AsyncConnection, ids: Iterable[int]) -> int:
    """Let alarms that waited in these rows of the outbox go, and one message of all; how many."""
    rows = (await tx.execute(TAKE, {"ids": list(ids)})).scalars()
    events = [{key: value for key, value in row.items() if key != TOGETHER} for row in rows]
    if events:
        await put_all(tx, [*events, told_together(events)])
    return len(events)
