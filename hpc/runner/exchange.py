"""One request over HTTP and what came back, within a deadline. Standard library only.

The caller decides which answers it knows. Anything else (a gateway's page, a portal's login,
half a body) is `Again`: it does not answer what was asked. Redirects are not followed:
one would carry the bearer token to another host.
"""

import http.client
import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from hpc.runner.connection import TimeLimit, route
from hpc.runner.errors import BadInput

MAX_ANSWER = 64 << 20
"""Bytes of JSON; the largest grant is a few MB."""
MAX_REFUSAL = 64 << 10
TRANSFER_TIMEOUT_S = 120.0
MAX_SHOWN = 500
"""Characters of an answer that are reported."""

NO_ANSWER = (OSError, http.client.HTTPException, ValueError)
"""What the standard library raises for a connection that fails and for bytes that are no HTTP."""


class Again(Exception):
    """One try went wrong in a way that may pass; `after` is what the server asked for, in s."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class Denied(Exception):
    """An answer other than 2xx: its status, its body as JSON (None when it is none), and
    `after`, the seconds it asks to wait."""

    def __init__(self, message: str, status: int, body: Any, after: float) -> None:
        super().__init__(message)
        self.status, self.body, self.after = status, body, after


class Request(NamedTuple):
    """What is asked of an address; `body` is bytes or a file that is read to its end."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | IO[bytes] | None


def make_request(
    method: str,
    url: str,
    bearer: str,
    headers: dict[str, str],
    body: bytes | IO[bytes] | None = None,
) -> Request:
    """A request to http(s) only: a URL from outside must not read a local file."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise BadInput(f"{url!r} is not an http(s) address")
    shown = {"Authorization": f"Bearer {bearer}", "Connection": "close"}
    return Request(method, url, shown | headers, body)


@contextmanager
def answered(
    request: Request, timeout: float, total: float | None = None
) -> Iterator[http.client.HTTPResponse]:
    """The answer with its body still to be read, for as long as the block lasts.

    `timeout` bounds each wait, `total` all of it, in seconds. Raises Denied for an answer
    other than 2xx and Again for none; what reading the body raises is NO_ANSWER.
    """
    with closing(TimeLimit(total)) as limit, ExitStack() as opened:
        try:
            connection, target, added = route(request.url, timeout, limit)
            opened.callback(connection.close)
            # A server may refuse before it has read a long body, and close: its answer is there.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(request.method, target, request.body, request.headers | added)
            response = opened.enter_context(connection.getresponse())
        except NO_ANSWER as trouble:
            raise Again(f"{type(trouble).__name__}: {trouble}") from trouble
        if not 200 <= response.status < 300:
            raise _denied(response)
        yield response


def _denied(answer: http.client.HTTPResponse) -> Denied:
    content = b""
    with suppress(*NO_ANSWER):
        content = answer.read(MAX_REFUSAL)
    body = None
    with suppress(ValueError, RecursionError):
        body = json.loads(content)
    text = content.decode("utf-8", "replace").strip()[:MAX_SHOWN]
    after = answer.headers.get("Retry-After", "")
    seconds = float(after) if after.isdecimal() else 0.0
    return Denied(f"{answer.status} {answer.reason}: {text}", answer.status, body, seconds)


def read_json(response: http.client.HTTPResponse) -> Any:
    """The body as JSON, None when it is empty. Raises Again when it is cut short or is none."""
    try:
        content = response.read(MAX_ANSWER)
        return json.loads(content) if content.strip() else None
    except (*NO_ANSWER, RecursionError) as trouble:
        raise Again(f"the answer was cut short or is not JSON ({trouble})") from trouble


def shown(body: Any) -> str:
    """What an answer is that is none, in a few plain characters."""
    return ascii(list(body) if isinstance(body, dict) else body)[:MAX_SHOWN]


@contextmanager
def put(path: Path, url: str, bearer: str) -> Iterator[http.client.HTTPResponse]:
    """PUT a file as a stream."""
    import mimetypes

    with path.open("rb") as source:
        headers = {
            "Content-Length": str(path.stat().st_size),
            "Content-Type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        }
        request = make_request("PUT", url, bearer, headers, source)
        with answered(request, TRANSFER_TIMEOUT_S) as answer:
            yield answer
