"""One request over HTTP and what came back, within a deadline. Standard library only.

Whoever asks says which answers it knows. Anything else (a gateway's page, a portal's login,
half a body) is `Again`: it says nothing about what was asked. Redirects are not followed:
one would carry the bearer token to another host.
"""

import http.client
import json
import mimetypes
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hpc.runner.errors import BadInput

MAX_ANSWER = 64 << 20
"""Bytes of JSON that are read at most; the largest grant is a few MB."""
MAX_REFUSAL = 64 << 10
TRANSFER_TIMEOUT_S = 120.0
SHOWN = 500
"""Characters of an answer that are told."""

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


class _Cut:
    """Ends a connection when the time for all of a call is over.

    A socket's own timeout begins anew with every byte, so that a slow enough talker never
    meets it. Without `seconds` nothing is cut.
    """

    def __init__(self, seconds: float | None) -> None:
        self._socket: socket.socket | None = None
        self._over = False
        self._timer = threading.Timer(seconds, self._end) if seconds is not None else None

    def watch(self, connected: socket.socket) -> None:
        self._socket = connected
        if self._over:
            self._end()

    def begin(self) -> None:
        if self._timer is not None:
            self._timer.daemon = True
            # Where a job may have no more threads, the socket's own timeout has to do.
            with suppress(RuntimeError):
                self._timer.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        self._over = True
        if self._socket is not None:
            # The plain method: TLS must not be torn from under the thread that reads.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Line(http.client.HTTPConnection):
    cut: _Cut

    def connect(self) -> None:
        super().connect()
        self.cut.watch(self.sock)


class _SecureLine(http.client.HTTPSConnection):
    cut: _Cut

    def connect(self) -> None:
        super().connect()
        self.cut.watch(self.sock)


class _Lines(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections that `cut` may end."""

    def __init__(self, cut: _Cut) -> None:
        urllib.request.HTTPHandler.__init__(self)
        self._cut = cut

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._line(_Line), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._line(_SecureLine), req)

    def _line(self, kind: Any) -> Any:
        def make(host: str, **more: Any) -> Any:
            line = kind(host, **more)
            line.cut = self._cut
            return line

        return make


class _StayHere(urllib.request.HTTPRedirectHandler):
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
    request: urllib.request.Request, timeout: float, whole: float | None = None
) -> Iterator[http.client.HTTPResponse]:
    """The answer with its body still to be read, for as long as the block lasts.

    `timeout` bounds each wait, `whole` all of it, in seconds. Raises Denied for an answer
    other than 2xx and Again for none; what reading the body raises is NO_ANSWER.
    """
    cut = _Cut(whole)
    opener = urllib.request.build_opener(_StayHere, _Lines(cut))
    cut.begin()
    try:
        with _opened(opener, request, timeout) as response:
            yield response
    finally:
        cut.stop()


def _opened(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, timeout: float
) -> http.client.HTTPResponse:
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
    text = content.decode("utf-8", "replace").strip()[:SHOWN]
    message = f"{answer.code} {answer.reason}: {text}"
    return Denied(message, answer.code, _json(content), _seconds(answer.headers.get("Retry-After")))


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _seconds(value: str | None) -> float:
    return float(value) if value and value.isdecimal() else 0.0


def read_json(response: http.client.HTTPResponse) -> Any:
    """The body as JSON, None when it is empty. Raises Again when it is cut short or is none."""
    try:
        content = response.read(MAX_ANSWER)
        return json.loads(content) if content.strip() else None
    except (*NO_ANSWER, RecursionError) as trouble:
        raise Again(f"the answer was cut short or is not JSON ({trouble})") from trouble


def shown(body: Any) -> str:
    """What an answer is that is none, in a few plain characters."""
    return ascii(list(body) if isinstance(body, dict) else body)[:SHOWN]


@contextmanager
def put(path: Path, url: str, bearer: str) -> Iterator[http.client.HTTPResponse]:
    """PUT a file as a stream."""
    with path.open("rb") as source:
        headers = {
            "Content-Length": str(path.stat().st_size),
            "Content-Type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
        }
        request = make_request("PUT", url, bearer, headers, source)
        with answered(request, TRANSFER_TIMEOUT_S) as answer:
            yield answer
