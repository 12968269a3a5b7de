"""Sessions whose dispatcher died without a word: taken up when its lease has run out.

Only the lease says who is alive, so this waits for it and asks nobody else. Reconcile would
find the same, a minute or two later.
"""

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from track.commands.healing import abandoned, request_dispatcher
from track.schema.database import transact

LOOK_S = 2.0

log = logging.getLogger(__name__)


async def watch_leases(engine: AsyncEngine) -> None:
    """Look until cancelled; the database may come and go."""
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            for session_id in await transact(engine, abandoned):
                if await transact(engine, request_dispatcher, session_id):
                    log.warning("session %s lost its dispatcher; it gets another", session_id)
        except (SQLAlchemyError, OSError) as error:
            log.info("leases cannot be looked at: %s", error)
