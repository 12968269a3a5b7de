"""Whether this application can do its work."""

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from api.health import version_here
from api.workstations.context import Here
from track.schema.database import ping

router = APIRouter(tags=["service"])


class UploadHealth(BaseModel):
    """`ok` while the database answers and the N-Drive is there."""

    status: str = Field(examples=["ok", "down"])
    version: str
    database: bool
    drive: bool = Field(description="Whether the N-Drive is there and answers.")


@router.get(
    "/health",
    summary="Is the application well?",
    responses={503: {"model": UploadHealth, "description": "Database or N-Drive do not answer."}},
)
async def health(here: Here) -> Response:
    """200 when files can be taken."""
    database = True
    try:
        await ping(here.engine)
    except (SQLAlchemyError, OSError):
        database = False
    drive = await here.drive.is_there()
    well = database and drive
    body = UploadHealth(
        status="ok" if well else "down", version=version_here(), database=database, drive=drive
    )
    return JSONResponse(body.model_dump(), 200 if well else 503)
