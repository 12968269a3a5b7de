"""The archive's error bodies.

Both services answer with one shape, but for the same cause not with the same code: what the
asset service calls 403, the file proxy answers as 400 with the word FORBIDDEN inside. Code
raises a named refusal; the service it belongs to chooses the code.
"""

from http import HTTPStatus
from typing import Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from psycopg import DataError

from demo.ars.clock import iso

Service = Literal["assets", "files"]


class RefusedByArs(Exception):
    """A request the archive refuses in its own words; the subclasses say which kind."""

    code = "BAD_REQUEST"
    status = 400
    files_status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(RefusedByArs):
    """The request is wrong in itself."""


class IllegalAction(RefusedByArs):
    """The request is well-formed, but may not be done now or by this user."""

    code = "FORBIDDEN"
    status = 403


class Internal(RefusedByArs):
    """Something inside broke; the asset service answers with its framework's page instead."""

    code = "INTERNAL_ERROR"
    status = files_status = 500


class NotSignedIn(Exception):
    """The bearer token is missing where one is needed, expired, or not ours."""

    def __init__(self, *, missing: bool, role_protected: bool = True) -> None:
        super().__init__("no usable token")
        self.missing = missing
        self.role_protected = role_protected


class RoleMissing(Exception):
    """The token is good, but none of its roles may do this."""


def install(app: FastAPI, service: Service) -> None:
    """Make `app` answer refusals the way `service` does."""

    async def handle(request: Request, error: Exception) -> Response:
        return _answer(service, request, error)

    for kind in (
        RefusedByArs,
        NotSignedIn,
        RoleMissing,
        RequestValidationError,
        DataError,
        Exception,
    ):
        app.add_exception_handler(kind, handle)


def _answer(service: Service, request: Request, error: Exception) -> Response:
    in_files = service == "files"
    match error:
        case Internal() if not in_files:
            return _framework_page(request, 500)
        case RefusedByArs():
            status = error.files_status if in_files else error.status
            return _error_page(service, status, error.code, error.message)
        case NotSignedIn(missing=False):
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return Response(status_code=401, headers=challenge)
        case NotSignedIn(role_protected=False) if in_files:
            return _error_page("files", 401, "UNAUTHORIZED", "No bearer token")
        case NotSignedIn() | RoleMissing():
            return _framework_page(request, 403)
        case RequestValidationError():
            # A wrong JSON type or an unknown enum value: plain text, from the JSON reader.
            problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            return PlainTextResponse("; ".join(problems), status_code=400)
        case DataError():
            return _error_page(service, 400, "BAD_REQUEST", f"A value cannot be stored: {error}")
        case _:
            return _framework_page(request, 500)


def _framework_page(request: Request, status: int) -> JSONResponse:
    """The page the framework under the archive writes for what no handler caught."""
    clock = request.app.state.world.clock
    return JSONResponse(
        {
            "timestamp": iso(clock.now()),
            "status": status,
            "error": HTTPStatus(status).phrase,
            "path": request.url.path,
        },
        status_code=status,
    )


def _error_page(service: Service, status: int, code: str, message: str) -> JSONResponse:
    body: dict[str, object] = {
        "type": "Error",
        "protocolVersion": "1.0",
        "errorCode": code,
        "errorMessage": message,
    }
    body |= {"body": None} if service == "assets" else {}
    return JSONResponse(body, status_code=status)
