"""Telling people of alarms that began, go on or ended at about the same time by one message.

The network away, and with it three sites and the archive, is one trouble to whoever reads of it.
"""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.records.outbox import TOGETHER, UnsentEvent, put_all
from track.reports.alarm_messages import told_together

TAKE = text("""
    WITH taken AS (DELETE FROM track.outbox WHERE id = ANY(:ids) RETURNING id, event)
    SELECT event FROM taken ORDER BY id
""")

MAX_EVENTS = 50
UNSENT = text("""
    SELECT id, event, extract(epoch FROM now() - created_at) AS age FROM track.outbox
    WHERE event ->> 'event' LIKE 'specimen.alarm%' ORDER BY id LIMIT :limit
""")


async def release(tx: AsyncConnection, ids: Iterable[int]) -> int:
    """Let alarms that waited in these rows of the outbox go, and one message of all; how many."""
    rows = (await tx.execute(TAKE, {"ids": list(ids)})).scalars()
    events = [{key: value for key, value in row.items() if key != TOGETHER} for row in rows]
    if events:
        await put_all(tx, [*events, told_together(events)])
    return len(events)


async def unsent_alarms(tx: AsyncConnection) -> list[UnsentEvent]:
    """Alarms that wait in the outbox, let go, and the message of all: MAX_EVENTS at most.

    It reads the whole outbox, so it is for the time in which nobody else sends what is there.
    """
    held = (await tx.execute(UNSENT, {"limit": MAX_EVENTS})).all()
    await release(tx, [row.id for row in held if TOGETHER in row.event])
    rows = (await tx.execute(UNSENT, {"limit": MAX_EVENTS})).all()
    return [UnsentEvent(row.id, row.event, float(row.age)) for row in rows]
