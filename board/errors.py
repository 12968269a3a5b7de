"""Errors as pages, which say what is wrong and what to do; as JSON for who asks for that."""

import logging
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from board.login.admission import login_of
from board.visitors import STRANGER, Visitor

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5
TOO_LONG = "57014"  # what PostgreSQL calls a statement that was ended for its time

TITLES = {403: "Not allowed", 404: "Not found", 422: "Not understood", 503: "Not just now"}
UNKNOWN = "There is no such page: it was moved, or the address has a typing error."


def install(app: FastAPI) -> None:
    """Give the application its answers to errors."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    for passing in (OperationalError, InterfaceError, NoConnection, OSError):
        app.add_exception_handler(passing, _later)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = str(error.detail)
    if error.status_code == 404 and text == HTTPStatus.NOT_FOUND.phrase:
        text = UNKNOWN
    return _answer(request, error.status_code, text, dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> Response:
    """Names each field; what was sent is shown only by the page that has it."""
    assert isinstance(error, RequestValidationError)
    faults = [
        f"{'.'.join(map(str, each['loc'][1:])) or each['loc'][0]}: {each['msg']}"
        for each in error.errors()[:20]
    ]
    return _answer(request, 422, "; ".join(faults))


async def _later(request: Request, error: Exception) -> Response:
    if getattr(getattr(error, "orig", None), "sqlstate", None) == TOO_LONG:
        return _answer(request, 503, "This took too long: ask for less, such as fewer days.")
    log.warning("%s: answered 503: %s", request.url.path, error)
    headers = {"Retry-After": str(RETRY_AFTER_S)}
    return _answer(
        request, 503, "The database cannot be reached just now. Try again soon.", headers
    )


def _visitor(request: Request) -> Visitor:
    """Who asks for what is not there, or may not ask."""
    try:
        return login_of(request).who(request)
    except HTTPException:
        return STRANGER


def _answer(
    request: Request, status: int, text: str, headers: dict[str, str] | None = None
) -> Response:
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"error": text}, status, headers)
    visitor = getattr(request.state, "visitor", None) or _visitor(request)
    page: Response = request.app.state.board.page(
        request,
        "error.html",
        visitor,
        status,
        title=TITLES.get(status, HTTPStatus(status).phrase),
        text=text,
    )
    page.headers.update(headers or {})
    return page
