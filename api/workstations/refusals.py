"""What the workstations' application refuses, for a program and for a person: code and sentence."""

import logging
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from schemas.uploads import TUS_VERSION, RefusalCode

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5

CHECKSUM_DIFFERS, SIZE_DIFFERS = 460, 461
"""Statuses of their own, as tus servers of DaSSCo use them."""

STATUS: dict[RefusalCode, int] = {
    RefusalCode.WRONG_LOGIN: 401,
    RefusalCode.TOO_MANY_LOGINS: 429,
    RefusalCode.LOGIN_EXPIRED: 401,
    RefusalCode.NOT_YOUR_WORKSTATION: 403,
    RefusalCode.UNKNOWN_WORKSTATION: 404,
    RefusalCode.UNKNOWN_VALUE: 422,
    RefusalCode.BAD_NAME: 422,
    RefusalCode.BAD_REQUEST: 400,
    RefusalCode.NAME_TAKEN: 409,
    RefusalCode.CHECKSUM_DIFFERS: CHECKSUM_DIFFERS,
    RefusalCode.SIZE_DIFFERS: SIZE_DIFFERS,
    RefusalCode.TOO_LARGE: 413,
    RefusalCode.NO_ROOM: 507,
    RefusalCode.DRIVE_AWAY: 503,
    RefusalCode.UNKNOWN_UPLOAD: 404,
    RefusalCode.WRONG_OFFSET: 409,
    RefusalCode.BEING_WRITTEN: 423,
    RefusalCode.SESSION_ENDED: 409,
    RefusalCode.SESSION_LACKS_FILES: 409,
    RefusalCode.TRY_LATER: 503,
}
"""The HTTP status of each refusal, unless another is given."""


class UploadRefused(Exception):
    """A request is refused; the text names file or field and says what to do.

    `more` is added to the answer's body, `headers` to its headers.
    """

    def __init__(
        self,
        code: RefusalCode,
        text: str,
        *,
        status: int | None = None,
        wait_s: float | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        self.code, self.text, self.more = code, text, more
        self.status = STATUS[code] if status is None else status
        self.headers = dict(headers or {})
        if wait_s is None and self.status == 503:
            wait_s = RETRY_AFTER_S
        if wait_s is not None:
            self.headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
        if self.status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"
        super().__init__(text)


def install(app: FastAPI) -> None:
    """Give the application its answers to errors."""
    app.add_exception_handler(UploadRefused, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(DataError, _unfit)
    for passing in (OperationalError, InterfaceError, NoConnection):
        app.add_exception_handler(passing, _later)


def answer(refused: UploadRefused) -> JSONResponse:
    """A refusal as an answer; a client that speaks tus looks for its version in every one."""
    body = {"code": refused.code, "error": refused.text, **refused.more}
    return JSONResponse(body, refused.status, {"Tus-Resumable": TUS_VERSION, **refused.headers})


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UploadRefused)
    log.info("%s %s: %s: %s", request.method, request.url.path, error.code, error.text)
    return answer(error)


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = RefusalCode.TOO_LARGE if error.status_code == 413 else RefusalCode.BAD_REQUEST
    headers = dict(error.headers or {})
    return answer(UploadRefused(code, str(error.detail), status=error.status_code, headers=headers))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Names each field; what was sent is not sent back, for it may hold a password."""
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:20]]
    return answer(UploadRefused(RefusalCode.BAD_REQUEST, "; ".join(faults), status=422))


async def _unfit(_: Request, error: Exception) -> JSONResponse:
    text = "a value is too large, or is text that the database cannot keep"
    return answer(UploadRefused(RefusalCode.BAD_REQUEST, text, status=422))


async def _later(request: Request, error: Exception) -> JSONResponse:
    log.warning("%s: answered 503: %s", request.url.path, type(error).__name__)
    text = "the server's database is not to be had just now; what was sent is kept"
    return answer(UploadRefused(RefusalCode.TRY_LATER, text))
