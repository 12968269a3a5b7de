"""The archive's error bodies.

Both services answer with one shape, but for the same cause not with the same code: what the
asset service calls 403, the file proxy answers as 400 with the word FORBIDDEN inside. Code
raises a named refusal; the service it belongs to chooses the code.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from psycopg import DataError

from demo.ars.clock import iso

Service = Literal["assets", "files"]


class Refusal(Exception):
    """A request the archive refuses in its own words; the subclasses say which kind."""

    code = "BAD_REQUEST"
    status = 400
    files_status = 400

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(Refusal):
    """The request is wrong in itself."""


class IllegalAction(Refusal):
    """The request is well-formed, but may not be done now or by this user."""

    code = "FORBIDDEN"
    status = 403
    files_status = 400


class Internal(Refusal):
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


def framework_page(request: Request, status: int) -> JSONResponse:
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


def error_body(service: Service, code: str, message: str) -> dict[str, object]:
    body: dict[str, object] = {
        "type": "Error",
        "protocolVersion": "1.0",
        "errorCode": code,
        "errorMessage": message,
    }
    return body | {"body": None} if service == "assets" else body


def _refuser(service: Service) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        if service == "assets" and isinstance(error, Internal):
            return framework_page(request, 500)
        status = error.status if service == "assets" else error.files_status
        return JSONResponse(error_body(service, error.code, error.message), status_code=status)

    return answer


def _sign_in_refuser(service: Service) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, NotSignedIn)
        if not error.missing:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return Response(status_code=401, headers=challenge)
        if service == "files" and not error.role_protected:
            body = error_body("files", "UNAUTHORIZED", "No bearer token")
            return JSONResponse(body, status_code=401)
        return framework_page(request, 403)

    return answer


async def _role_refused(request: Request, _: Exception) -> Response:
    return framework_page(request, 403)


async def _broken(request: Request, _: Exception) -> Response:
    return framework_page(request, 500)


def _unstorable(service: Service) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(_: Request, error: Exception) -> Response:
        body = error_body(service, "BAD_REQUEST", f"A value cannot be stored: {error}")
        return JSONResponse(body, status_code=400)

    return answer


async def _unreadable(_: Request, error: Exception) -> Response:
    """A wrong JSON type or an unknown enum value: plain text, from the JSON reader."""
    assert isinstance(error, RequestValidationError)
    problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
    return PlainTextResponse("; ".join(problems), status_code=400)


def install(app: FastAPI, service: Service) -> None:
    """Make `app` answer refusals the way `service` does."""
    app.add_exception_handler(Refusal, _refuser(service))
    app.add_exception_handler(NotSignedIn, _sign_in_refuser(service))
    app.add_exception_handler(RoleMissing, _role_refused)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(DataError, _unstorable(service))
    app.add_exception_handler(Exception, _broken)
