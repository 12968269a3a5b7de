"""One request over HTTP and what came back, within a deadline. Standard library only.

The caller decides which answers it knows. Anything else (a gateway's page, a portal's login,
half a body) is `Again`: it does not answer what was asked. Redirects are not followed:
one would carry the bearer token to another host.
"""

import http.client
import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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


class _TimeLimit:
    """Ends a connection when the time for all of a call is over.

    A socket's own timeout begins anew with every byte, so that a slow enough sender never
    meets it. Without `seconds` nothing is ended.
    """

    def __init__(self, seconds: float | None) -> None:
        self._socket: socket.socket | None = None
        self._is_over = False
        self._timer = threading.Timer(seconds or 0.0, self._end)
        self._timer.daemon = True
        if seconds is not None:
            # Where a job may have no more threads, the socket's own timeout has to do.
            with suppress(RuntimeError):
                self._timer.start()

    def watch(self, connected: socket.socket) -> None:
        self._socket = connected
        if self._is_over:
            self._end()

    def close(self) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        self._is_over = True
        if self._socket is not None:
            # The plain method: TLS must not be torn from under the thread that reads.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    def __init__(self, *args: Any, limit: _TimeLimit, **more: Any) -> None:
        super().__init__(*args, **more)
        self._limit = limit

    def connect(self) -> None:
        super().connect()
        self._limit.watch(self.sock)


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections that `limit` may end."""

    def __init__(self, limit: _TimeLimit) -> None:
        urllib.request.HTTPHandler.__init__(self)
        self._limit = limit

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Connection, limit=self._limit), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_SecureConnection, limit=self._limit), req)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def _stay(self, *_args: Any, **_kwargs: Any) -> None:
        """A redirect is an answer like any other; where it leads is not even read."""

    http_error_301 = http_error_302 = http_error_303 = http_error_307 = http_error_308 = _stay


def make_request(
    method: str, url: str, bearer: str, headers: dict[str, str], data: Any = None
) -> urllib.request.Request:
    """A request to http(s) only: a URL from outside must not read a local file."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise BadInput(f"{url!r} is not an http(s) address")
    return urllib.request.Request(
        url, data=data, method=method, headers={"Authorization": f"Bearer {bearer}", **headers}
    )


@contextmanager
def answered(
    request: urllib.request.Request, timeout: float, total: float | None = None
) -> Iterator[http.client.HTTPResponse]:
    """The answer with its body still to be read, for as long as the block lasts.

    `timeout` bounds each wait, `total` all of it, in seconds. Raises Denied for an answer
    other than 2xx and Again for none; what reading the body raises is NO_ANSWER.
    """
    with closing(_TimeLimit(total)) as limit, _opened(request, timeout, limit) as response:
        yield response


def _opened(
    request: urllib.request.Request, timeout: float, limit: _TimeLimit
) -> http.client.HTTPResponse:
    opener = urllib.request.build_opener(_NoRedirects, _Handler(limit))
    try:
        response: http.client.HTTPResponse = opener.open(request, timeout=timeout)
        return response
    except urllib.error.HTTPError as answer:
        raise _denied(answer) from answer
    except NO_ANSWER as trouble:
        raise Again(f"{type(trouble).__name__}: {trouble}") from trouble


def _denied(answer: urllib.error.HTTPError) -> Denied:
    content = b""
    with answer, suppress(*NO_ANSWER):
        content = answer.read(MAX_REFUSAL)
    body = None
    with suppress(ValueError, RecursionError):
        body = json.loads(content)
    text = content.decode("utf-8", "replace").strip()[:MAX_SHOWN]
    after = answer.headers.get("Retry-After", "")
    seconds = float(after) if after.isdecimal() else 0.0
    return Denied(f"{answer.code} {answer.reason}: {text}", answer.code, body, seconds)


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
