"""The server's answers, and what the upload API's refusals are among the client's errors."""

import ssl
from typing import TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from schemas.uploads import Refusal, RefusalCode
from workstation.server.errors import (
    LoginNeeded,
    ServerAway,
    ServerNotUnderstood,
    ServerProblem,
    ServerRefused,
    ServerUntrusted,
)

T = TypeVar("T")

LONGEST_WAIT_S = 300.0
"""The longest that the server's own wish to be left alone is followed."""

_CODES = {
    404: RefusalCode.UNKNOWN_UPLOAD,
    460: RefusalCode.CHECKSUM_DIFFERS,
    461: RefusalCode.SIZE_DIFFERS,
    507: RefusalCode.NO_ROOM,
}
"""What a status says by itself: an answer to HEAD has no body."""


class _RefusedFiles(Refusal):
    """A refusal that may name files."""

    files: tuple[str, ...] = ()


def read_answer(answer: httpx.Response, kind: type[T]) -> T:
    """The body of a good answer. Raises ServerProblem for any other."""
    check_answer(answer)
    try:
        return TypeAdapter(kind).validate_json(answer.content)
    except ValidationError as error:
        raise not_understood(answer) from error


def check_answer(answer: httpx.Response) -> None:
    """Raise what an answer refuses: LoginNeeded, ServerRefused or ServerNotUnderstood."""
    if answer.is_success:
        return
    refusal = _refusal_of(answer)
    if answer.status_code == 401:
        said = refusal.error if refusal else "the login has ended"
        raise LoginNeeded(f"{said}; what was sent is kept")
    if refusal is None and answer.status_code < 500 and answer.request.method != "HEAD":
        raise not_understood(answer)
    known = refusal or _RefusedFiles(
        code=_CODES.get(answer.status_code, RefusalCode.TRY_LATER),
        error=f"the server answered {answer.status_code}",
    )
    raise ServerRefused(
        known.code,
        known.error,
        _retry_after(answer),
        status=answer.status_code,
        files=known.files,
    )


def not_understood(answer: httpx.Response) -> ServerNotUnderstood:
    """That something else than the upload API answered."""
    url = answer.request.url
    moved = f", which points to {answer.headers['location']}" if answer.is_redirect else ""
    return ServerNotUnderstood(
        f"what answers at {url.scheme}://{url.netloc.decode()}{url.path} is not the refinery's "
        f"upload server (status {answer.status_code}{moved}); check the address"
    )


def unreached(error: httpx.RequestError, address: str) -> ServerProblem:
    """What it means that a request had no answer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY" in str(cause):
            return ServerUntrusted(
                f"the certificate of {address} is not trusted here ({cause}); have it looked at, "
                "and do not send a password until it is"
            )
        cause = cause.__cause__ or cause.__context__
    why = "it took too long" if isinstance(error, httpx.TimeoutException) else "no connection"
    said = str(error).strip() or type(error).__name__
    return ServerAway(f"the server {address} does not answer ({why}: {said})")


def _refusal_of(answer: httpx.Response) -> _RefusedFiles | None:
    try:
        return _RefusedFiles.model_validate_json(answer.content)
    except ValidationError:
        return None


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds that the server asks to wait; a date, which none of ours writes, counts as none."""
    said = answer.headers.get("retry-after", "")
    if not said.isascii() or not said.isdigit():
        return None
    return min(LONGEST_WAIT_S, float(said[:9]))
