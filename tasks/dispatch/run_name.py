"""The name under which people find a dispatch run in Prefect: its workstation and its folder.

Whoever starts it knows a session's id only. A second run of the same session has the same name;
its tags say which session it is.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.runtime import flow_run
from sqlalchemy.exc import NoResultFound, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from tasks.background import begin
from track.records.sessions import name_of
from track.schema.database import transact

CLOSE_S = 5.0
"""How long a run that is over at once may take to be named."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def naming_run(
    engine: AsyncEngine, session_id: UUID, run: UUID | None
) -> AsyncIterator[None]:
    """Name a session's dispatch run beside its work; without a run do nothing."""
    if run is None:
        yield
        return
    naming = begin(name_run(engine, session_id, run, flow_run.tags), "the naming of the run")
    try:
        yield
    finally:
        await asyncio.wait([naming], timeout=CLOSE_S)
        naming.cancel()


async def name_run(engine: AsyncEngine, session_id: UUID, run: UUID, tags: list[str]) -> None:
    """Name a run by its session's folder, and add the session to its tags; a failure is logged."""
    try:
        name = await transact(engine, name_of, session_id)
        added = [name.workstation, f"session-{session_id}"]
        async with get_client() as client:
            await client.update_flow_run(
                run, name=f"dispatch {name}", tags=list(dict.fromkeys([*tags, *added]))
            )
    except NoResultFound:
        log.info("there is no session %s", session_id)
    except (httpx.HTTPError, PrefectException, SQLAlchemyError) as error:
        log.info("the run keeps its plain name: %s", error)
