"""Sessions whose dispatcher died without a word: taken up when its lease has run out.

Only the lease says who is alive, so this waits for it and asks nobody else. Reconcile would
find the same, a minute or two later.
"""

import asyncio
import logging
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from track.database import transact
from track.healing import take_up
from track.tables import dispatcher, session

LOOK_S = 2.0

log = logging.getLogger(__name__)


async def watch_leases(engine: AsyncEngine) -> None:
    """Look until cancelled; the database may come and go."""
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            for session_id in await transact(engine, abandoned):
                if await transact(engine, lambda tx, s=session_id: take_up(tx, s)):  # type: ignore[misc]
                    log.warning("session %s lost its dispatcher; it gets another", session_id)
        except (SQLAlchemyError, OSError) as error:
            log.info("leases cannot be looked at: %s", error)


async def abandoned(tx: AsyncConnection) -> list[UUID]:
    """Sessions with a lease that ran out, and for which nobody was asked for since then.

    That one is asked for once: a lease whose lock is still held is reconcile's to watch.
    """
    over = (dispatcher.c.ended_at.is_(None), dispatcher.c.alive_until < func.clock_timestamp())
    asked = session.c.wake_requested_at
    statement = (
        select(session.c.id)
        .join(dispatcher, dispatcher.c.session_id == session.c.id)
        .where(*over, asked.is_(None) | (asked < dispatcher.c.alive_until))
        .distinct()
    )
    return list((await tx.execute(statement)).scalars())
