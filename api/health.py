"""Whether this application can do its work, and its figures for Prometheus."""

from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from api.context import Here
from track.records.outbox import Backlog, backlog

router = APIRouter(tags=["service"])


class Health(BaseModel):
    """`ok` while the database answers and events can be announced; `late` while only these wait."""

    status: str = Field(examples=["ok", "late", "down"])
    version: str
    database: bool
    unannounced: int = Field(description="Events that Prefect has not accepted yet.")
    oldest_s: float = Field(description="Age of the oldest of them, in seconds.")
    trouble: str = Field(description="Why events wait, or empty.")


@router.get(
    "/health",
    summary="Is the application well?",
    responses={503: {"model": Health, "description": "The database does not answer."}},
)
async def health(here: Here) -> Response:
    """200 when the database answers. Events that wait lose nothing, and are not an illness."""
    waiting, well = Backlog(0, 0.0), True
    try:
        async with here.engine.connect() as connection:
            waiting = await backlog(connection)
    except (SQLAlchemyError, OSError):
        well = False
    late = bool(here.announcer.last_error)
    body = Health(
        status="late" if well and late else "ok" if well else "down",
        version=version_here(),
        database=well,
        unannounced=waiting.events,
        oldest_s=waiting.oldest_s,
        trouble=here.announcer.last_error,
    )
    return JSONResponse(body.model_dump(), 200 if well else 503)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(here: Here) -> Response:
    """Jobs, sessions, sites, services, alarms, copies, free room; callbacks and latencies."""
    disks = await here.space.read()
    async with here.engine.connect() as connection:
        page = await here.metrics.page(connection, disks)
    return Response(page, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def version_here() -> str:
    """The version that is installed here."""
    try:
        return version("specimen-refinery")
    except PackageNotFoundError:
        return "unknown"
