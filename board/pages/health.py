"""Whether the board can do its work."""

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse, Response

from board.context import Here
from track.schema.database import ping

router = APIRouter()


@router.get("/health")
async def health(here: Here) -> Response:
    """200 while the database answers."""
    try:
        await ping(here.engine)
    except (SQLAlchemyError, OSError):
        return JSONResponse({"status": "down", "database": False}, 503)
    return JSONResponse({"status": "ok", "database": True})
