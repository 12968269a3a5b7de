"""A board that nobody may log in to: readable on this very host, and closed to all others."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from fastapi import HTTPException, Request

from board.visitors import Visitor

REMEDY = "`refinery user add NAME --role operator` adds somebody who may log in."
NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
FORWARDED = ("forwarded", "via", "x-real-ip")


def unnamed_visitor(request: Request, host: str, address: str) -> Visitor:
    """A reader without a name. Raises HTTPException 403 unless it is asked from this host.

    `host` is what the board listens on, `address` its own as browsers know it, or empty: one
    that others can reach means a proxy, which need not say that it is one.

    A page of another site can make a browser ask here under a name of its own, and a proxy asks
    for others: both are seen by what they send.
    """
    if not on_loopback(host) or (address and not on_loopback(urlsplit(address).hostname or "")):
        raise HTTPException(403, f"Nobody is configured, and others can reach this board. {REMEDY}")
    peer = request.client.host if request.client else ""
    asked = request.headers.get("host", "").rpartition(":")
    name = asked[0] if asked[2].isdecimal() else request.headers.get("host", "")
    forwarded = any(
        header in FORWARDED or header.startswith("x-forwarded-") for header in request.headers
    )
    if name not in NAMES or forwarded or not on_loopback(peer):
        raise HTTPException(
            403, f"Nobody is configured, so this board answers only its own host. {REMEDY}"
        )
    return Visitor()


def on_loopback(host: str) -> bool:
    """Whether an address is one that only this host can reach."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
