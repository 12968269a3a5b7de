"""A connection to a host: by way of a proxy where the environment names one, and within a time.

`http_proxy`, `https_proxy` and `no_proxy` are read as Python's own clients read them.
"""

import http.client
import os
import socket
import threading
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit


class TimeLimit:
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
        """The connection to be ended; at once when the time is over already."""
        self._socket = connected
        if self._is_over:
            self._end()

    def close(self) -> None:
        """The call is over."""
        self._timer.cancel()

    def _end(self) -> None:
        self._is_over = True
        if self._socket is not None:
            # The plain method: TLS must not be torn from under the thread that reads.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    def __init__(self, host: str, *, timeout: float, limit: TimeLimit) -> None:
        super().__init__(host, timeout=timeout)
        self._limit = limit

    def connect(self) -> None:
        super().connect()
        self._limit.watch(self.sock)


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


KINDS = {"http": _Connection, "https": _SecureConnection}


class Route(NamedTuple):
    """A connection that is made when it is first used; what to ask of it, and what to add."""

    connection: http.client.HTTPConnection
    target: str
    headers: dict[str, str]


def route(url: str, timeout: float, limit: TimeLimit) -> Route:
    """The way to an http(s) address. Raises HTTPException and ValueError when it is none."""
    address = urlsplit(url)
    target = (address.path or "/") + (f"?{address.query}" if address.query else "")
    proxy = proxy_of(address)
    if proxy is None:
        return Route(
            KINDS[address.scheme](address.netloc, timeout=timeout, limit=limit), target, {}
        )
    login = _login(proxy)
    host = unquote(proxy.netloc.rpartition("@")[2])
    if address.scheme == "https":  # the proxy hands on what it cannot read
        tunnel = _SecureConnection(host, timeout=timeout, limit=limit)
        tunnel.set_tunnel(address.netloc, headers=login)
        return Route(tunnel, target, {})
    plain = KINDS[proxy.scheme](host, timeout=timeout, limit=limit)
    return Route(plain, f"http://{address.netloc}{target}", login)


def proxy_of(address: SplitResult) -> SplitResult | None:
    """The proxy that the environment names for an address, None for none.

    Raises ValueError for one that is neither http nor https.
    """
    if not any(name.lower() == f"{address.scheme}_proxy" for name in os.environ):
        return None
    # Loaded where there is one alone: each job starts a Python of its own.
    from urllib.request import getproxies, proxy_bypass

    proxy = getproxies().get(address.scheme)
    if not proxy or proxy_bypass(address.netloc):
        return None
    found = urlsplit(proxy if "://" in proxy else f"{address.scheme}://{proxy}")
    if found.scheme not in KINDS:
        raise ValueError(f"{address.scheme}_proxy is of a kind not known here: {found.scheme}")
    return found


def _login(proxy: SplitResult) -> dict[str, str]:
    """The header by which a proxy knows us, when its address has a name and a password."""
    if not proxy.username or not proxy.password:
        return {}
    from base64 import b64encode

    pair = f"{unquote(proxy.username)}:{unquote(proxy.password)}"
    return {"Proxy-Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
