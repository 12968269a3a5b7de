"""Whether work waits for a cluster that asks for it: what the poller there has always asked.

It says yes or no, and nothing of any specimen, so it asks for no token.
"""

from fastapi import APIRouter
from starlette.responses import PlainTextResponse

from api.context import Here
from track.jobs.agent_claims import work_waits

router = APIRouter(tags=["agents"])


@router.get("/api/v1/apibool", summary="Does work wait for a cluster that takes it itself?")
async def apibool(here: Here) -> PlainTextResponse:
    """`true` or `false`, as plain text."""
    async with here.engine.connect() as tx:
        return PlainTextResponse("true" if await work_waits(tx) else "false")
