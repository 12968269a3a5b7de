"""One request over HTTP and its answer. TLS is always verified, and no redirect is followed:
one would carry the token to another host.

Proxies are those that the environment names (`https_proxy`, `no_proxy`); this machine itself is
never asked by way of one.
"""

import functools
import http.client
import json
import ssl
import time
import urllib.request
from typing import IO, Any, Dict, NamedTuple, Optional, Union
from urllib.parse import urlsplit

CONNECT_S = 10.0
READ_S = 40.0
CALL_S = 120.0
"""Seconds that all of a small answer may take; READ_S is for each of its waits."""
MAX_ANSWER = 64 << 20
"""Bytes of an answer that is not written to a file."""
PIECE = 1 << 16
LOOPBACK = ("127.0.0.1", "::1", "localhost")

Body = Union[None, bytes, IO[bytes]]

_NO_ANSWER = (OSError, http.client.HTTPException, ValueError)


class NoAnswer(Exception):
    """Nothing usable came back: the network, a proxy, TLS, or an answer that was cut."""


class UnsafeAddress(Exception):
    """An address that would show a token on the network, or that is none of HTTP."""


class HttpAnswer(NamedTuple):
    """What came back; `after_s` is what the other side asks to wait, in seconds."""

    status: int
    after_s: float
    content: bytes

    def json(self) -> Any:
        """The answer's JSON. Raises NoAnswer when it is none."""
        try:
            return json.loads(self.content.decode("utf-8"))
        except (ValueError, RecursionError):
            raise NoAnswer(f"{self.status} with an answer that is no JSON") from None

    def words(self) -> str:
        """The status and what was said, in a few characters."""
        said = self.content[:300].decode("utf-8", "replace")
        return "{} {}".format(self.status, " ".join(said.split()))


def check_address(url: str, insecure_http: bool = False) -> str:
    """`url`, when a token may be sent there. Raises UnsafeAddress."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        parts.port  # noqa: B018  a port that is none raises here
    except ValueError:
        raise UnsafeAddress(f"{url} is not an address") from None
    if parts.scheme not in ("https", "http") or not host:
        raise UnsafeAddress(f"{url} is not an address such as https://refinery.example.org")
    if parts.username or parts.password:
        raise UnsafeAddress("an address with a name or a password in it would show them")
    if parts.scheme == "http" and host not in LOOPBACK and not insecure_http:
        raise UnsafeAddress(f"{url}: only https:// hides the token on its way")
    return url


class HttpClient:
    """Asks over HTTP(S); `ca` is a file of certificates to trust beside those of the system."""

    def __init__(self, ca: Optional[str] = None, insecure_http: bool = False) -> None:
        self._insecure_http = insecure_http
        context = ssl.create_default_context()
        if ca:
            context.load_verify_locations(cafile=ca)
        self._near = _opener(context, urllib.request.ProxyHandler({}))
        self._far = _opener(context, urllib.request.ProxyHandler())

    def ask(
        self,
        method: str,
        url: str,
        bearer: str,
        body: Body = None,
        headers: Optional[Dict[str, str]] = None,
        into: Optional[IO[bytes]] = None,
    ) -> HttpAnswer:
        """The answer, whatever its status; the body of a 200 is written to `into`, if given.

        Raises NoAnswer, UnsafeAddress, and OSError when `into` cannot be written.
        """
        check_address(url, self._insecure_http)
        request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
        request.add_unredirected_header("Authorization", f"Bearer {bearer}")
        near = urlsplit(url).hostname in LOOPBACK
        try:
            response = (self._near if near else self._far).open(request, timeout=CONNECT_S)
        except _NO_ANSWER as trouble:
            raise NoAnswer(f"{type(trouble).__name__}: {trouble}") from trouble
        with response:
            return _answer(response, into)


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(READ_S)


class _SecureConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(READ_S)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._make: Any = functools.partial(_SecureConnection, context=context)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._make, req)


def _opener(
    context: ssl.SSLContext, proxies: urllib.request.ProxyHandler
) -> urllib.request.OpenerDirector:
    """What opens an address and gives any status back: nothing in it follows or raises."""
    opener = urllib.request.OpenerDirector()
    for handler in (proxies, _Http(), _Https(context), urllib.request.UnknownHandler()):
        opener.add_handler(handler)
    return opener


def _answer(response: http.client.HTTPResponse, into: Optional[IO[bytes]]) -> HttpAnswer:
    after = response.headers.get("Retry-After", "").strip()
    to_file = into if response.status == http.client.OK else None
    content = _read(response, to_file)
    return HttpAnswer(response.status, float(after) if after.isdigit() else 0.0, content)


def _read(response: http.client.HTTPResponse, into: Optional[IO[bytes]]) -> bytes:
    until = time.monotonic() + CALL_S
    announced, size, kept = response.length, 0, bytearray()
    while True:
        try:
            piece = response.read(PIECE)
        except _NO_ANSWER as trouble:
            raise NoAnswer(f"the answer was cut short: {trouble}") from trouble
        if not piece:
            break
        size += len(piece)
        if into is not None:
            into.write(piece)
        elif size > MAX_ANSWER or time.monotonic() > until:
            raise NoAnswer("the answer does not end")
        else:
            kept += piece
    if announced is not None and size != announced:
        raise NoAnswer(f"the answer was cut short: {size} of {announced} bytes")
    return bytes(kept)
