"""Errors as answers: one shape, `{"error": text}`, with the text for the person who reads it.

What is temporary is 503 with a time to retry after, so that a runner keeps its result and
tries again; what is wrong with a request is 4xx and names the field. A refusal of an attempt has
`refused` and `attempt`, which a gateway between a runner and us does not send.
"""

import logging
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from api.outputs import Damaged
from hpc.callers import MessageRefused, NotTheirs
from hpc.protocol import TooLate
from track.jobs.moves import StaleMove
from track.records.documents import NoDocument
from track.schema.database import never_fits

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5

REFUSED = {
    400: "malformed",
    401: "unauthorised",
    403: "forbidden",
    409: "unwanted",
    413: "too_large",
    422: "unreadable",
}
"""The value of `refused`, by status. Any other status says nothing about the attempt."""

STATUS: dict[type[Exception], int] = {
    MessageRefused: 409,
    NotTheirs: 403,
    TooLate: 401,
    NoDocument: 422,
}

_ATTEMPT = re.compile(r"/attempts/(\d{1,19})/")


def install(app: FastAPI) -> None:
    """Give the application its answers to errors."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for refusal in STATUS:
        app.add_exception_handler(refusal, _refused)
    app.add_exception_handler(DataError, _unfit)
    app.add_exception_handler(Damaged, _damaged)
    for passing in (OperationalError, InterfaceError, NoConnection, StaleMove):
        app.add_exception_handler(passing, _later)


def problem(
    status: int, text: str, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """An error as an answer."""
    return JSONResponse({"error": text, **more}, status, headers)


def answer_to(
    scope: Scope, status: int, text: str, headers: dict[str, str] | None = None, **more: Any
) -> JSONResponse:
    """An error as the answer to a request, with `refused` when it refuses an attempt."""
    asked = _ATTEMPT.search(scope["path"])
    if status in REFUSED and asked is not None:
        more |= {"refused": REFUSED[status], "attempt": int(asked[1])}
    return problem(status, text, headers, **more)


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return answer_to(request.scope, error.status_code, str(error.detail), dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Names each field; what was sent is not sent back, for it may hold anything."""
    assert isinstance(error, RequestValidationError)
    details = [
        {"loc": [str(step) for step in each["loc"]], "msg": each["msg"], "type": each["type"]}
        for each in error.errors()[:20]
    ]
    text = "; ".join(f"{'.'.join(each['loc'])}: {each['msg']}" for each in details)
    return answer_to(request.scope, 422, text, detail=details)


def first_problem(error: ValidationError) -> str:
    """What is wrong with a part of a request, by its first field; not with what was sent."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


async def _refused(request: Request, error: Exception) -> JSONResponse:
    status, text = STATUS[type(error)], str(error)
    if isinstance(error, NoDocument):
        text = f"no metadata is known of asset {error}"
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return answer_to(request.scope, status, text, headers)


async def _damaged(_: Request, error: Exception) -> JSONResponse:
    """No refusal: the file was hurt on its way, and is to be sent again."""
    return problem(422, str(error))


async def _unfit(request: Request, error: Exception) -> JSONResponse:
    log.warning("%s: a value does not fit the database: %s", request.url.path, error)
    return answer_to(
        request.scope, 422, "a value is too large, or is text the database cannot keep"
    )


async def _later(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, OperationalError) and never_fits(error):
        return await _unfit(request, error)
    log.warning("%s: answered 503: %s", request.url.path, type(error).__name__)
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return problem(503, "the database is not to be had just now", headers)
