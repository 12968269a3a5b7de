"""Errors as answers: one shape, `{"error": text}`, with the text for the person who reads it.

What may pass is 503 with a time to come back, so that a runner keeps its result and
tries again; what is wrong with a request is 4xx and says which field.
"""

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from hpc.protocol import Refused, TooLate
from track.database import never_fits
from track.documents import NoDocument
from track.moves import StaleMove

log = logging.getLogger(__name__)

COME_BACK_S = 5


def install(app: FastAPI) -> None:
    """Give the application its answers to errors."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(TooLate, _too_late)
    app.add_exception_handler(NoDocument, _no_document)
    app.add_exception_handler(DataError, _unfit)
    for passing in (OperationalError, InterfaceError, NoConnection, StaleMove):
        app.add_exception_handler(passing, _later)


def problem(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """An error as an answer."""
    return JSONResponse({"error": text}, status, headers)


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), dict(error.headers or {}))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Names each field; what was sent is not sent back, for it may hold anything."""
    assert isinstance(error, RequestValidationError)
    details = [
        {"loc": [str(step) for step in each["loc"]], "msg": each["msg"], "type": each["type"]}
        for each in error.errors()[:20]
    ]
    text = "; ".join(f"{'.'.join(each['loc'])}: {each['msg']}" for each in details)
    return JSONResponse({"error": text, "detail": details}, 422)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    return problem(409, str(error))


async def _too_late(_: Request, error: Exception) -> JSONResponse:
    return problem(401, str(error), {"WWW-Authenticate": "Bearer"})


async def _no_document(_: Request, error: Exception) -> JSONResponse:
    return problem(422, f"no metadata is known of asset {error}")


async def _unfit(request: Request, error: Exception) -> JSONResponse:
    log.warning("%s: a value does not fit the database: %s", request.url.path, error)
    return problem(422, "a value is too large, or is text the database cannot keep")


async def _later(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, OperationalError) and never_fits(error):
        return await _unfit(request, error)
    log.warning("%s: answered 503: %s", request.url.path, type(error).__name__)
    return problem(503, "the database is not to be had just now", {"Retry-After": str(COME_BACK_S)})
