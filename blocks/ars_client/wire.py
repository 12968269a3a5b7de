"""One call to ARS: token, deadline, and the translation of what came back.

A read that fails changed nothing, so it is TierBusy. A call that changes something and
gets no clear answer is TierUnknown, unless it never left us. This is the only place
that sees an httpx error or an HTTP status.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from blocks.ars_client.token import AGAIN_S, TokenCache
from blocks.tier import (
    Guard,
    TierBusy,
    TierCorrupted,
    TierError,
    TierRefused,
    TierUnauthorised,
    TierUnknown,
)

T = TypeVar("T")

READ_SECONDS = 60.0
WRITE_SECONDS = 60.0
SHARE_SECONDS = 400.0
"""Calls that make or fill a share: ARS itself waits up to 120 s for ERDA and copies inline."""

GUID_LOCK = 310.0
"""ARS keeps a guid locked for 300 s after a creation that failed half-way."""

DISK_FULL_SECONDS = 600.0

_BUSY_WORDS = {
    "already being processed": GUID_LOCK,
    "already in the process of creation": GUID_LOCK,
    "is synchronizing": 30.0,
    "is synchronising": 30.0,
}
# ARS gives these the same status as a final refusal: only its words tell them apart.

REDIRECTS = frozenset({301, 302, 303, 308})
"""307 is ARS's own, for a file of ERDA that we may not read."""

SAID_FOR_ARS = frozenset({413, 429})
"""What a gateway says of the request itself, in a page of its own: too large, too many."""

PAGES = (b"<!doctype html", b"<html")

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True)
class Call:
    """One request. `seconds` bounds all of it; `accept` lists statuses that are answers too."""

    method: str
    url: str
    changes: bool = False
    seconds: float = READ_SECONDS
    accept: frozenset[int] = frozenset()
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Callable[[], AsyncIterator[bytes]] | None = None
    """Makes the body anew each time, so that the call can be sent again after a 401."""


class NotArs(Exception):
    """Somebody else answered in its stead."""


class Wire:
    """Sends calls with a valid token, and translates what goes wrong into a TierError."""

    def __init__(self, http: httpx.AsyncClient, tokens: TokenCache, guard: Guard | None) -> None:
        self._http = http
        self._tokens = tokens
        self._guard = guard

    async def send(self, call: Call) -> httpx.Response:
        """The answer, read to its end. Raises only TierError (and what the guard raises)."""
        async with self.stream(call) as response:
            await response.aread()
            return answer_of(call, response)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[httpx.Response]:
        """The answer with its body still to be read, for as long as the block lasts."""
        try:
            async with asyncio.timeout(call.seconds), self._allowed(call):
                response = await self._authorised(call)
                try:
                    if not response.is_success and response.status_code not in call.accept:
                        await response.aread()
                        answer_of(call, response)
                    yield response
                finally:
                    await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as lost:
            raise no_answer(call, lost) from lost

    def _allowed(self, call: Call) -> AbstractAsyncContextManager[None]:
        return self._guard() if call.changes and self._guard is not None else nullcontext()

    async def _authorised(self, call: Call) -> httpx.Response:
        for wait in (0.0, *AGAIN_S, None):
            token = await self._tokens.get()
            response = await self._once(call, token.text)
            if response.status_code != 401:
                return response
            await response.aclose()
            self._tokens.forget(token)
            if wait is not None:
                await asyncio.sleep(wait)
        raise TierUnauthorised(
            f"ARS does not accept the token of this client at {call.url}: "
            "check the roles of client_id in the ArsArchive block"
        )

    async def _once(self, call: Call, token: str) -> httpx.Response:
        try:
            return await self._http.send(self._request(call, token), stream=True)
        except (httpx.ReadError, httpx.RemoteProtocolError):
            if call.changes:
                raise
            # A kept-alive connection the server has just closed looks like an outage.
            return await self._http.send(self._request(call, token), stream=True)

    def _request(self, call: Call, token: str) -> httpx.Request:
        return self._http.build_request(
            call.method,
            call.url,
            params=call.params or None,
            json=call.json,
            content=call.content() if call.content is not None else None,
            headers={"Authorization": f"Bearer {token}", **call.headers},
            timeout=httpx.Timeout(call.seconds, connect=10.0, write=60.0),
        )


def no_answer(call: Call, lost: Exception) -> TierError:
    """What it means that a call got no answer."""
    what = f"{call.method} {call.url}: {lost!r}"
    if isinstance(lost, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return TierRefused(f"{what}; correct base_url in the ArsArchive block")
    if call.changes and not isinstance(lost, _NEVER_SENT):
        return TierUnknown(f"{what}; whether ARS did it is not known")
    return TierBusy(f"{what}; ARS does not answer")


def answer_of(call: Call, response: httpx.Response) -> httpx.Response:
    """`accepted`, of what ARS itself may have said.

    ARS speaks JSON, plain words or nothing. A page, or the way to one, is a gateway's or a
    portal's: whatever its status, it says nothing of an asset, nor whether a change was made.
    """
    strange = response.status_code in REDIRECTS or _is_page(response)
    if strange and response.status_code not in SAID_FOR_ARS and response.status_code < 500:
        raise no_answer(call, NotArs(f"{response.status_code}, and not in ARS's words"))
    return accepted(call, response)


def _is_page(response: httpx.Response) -> bool:
    kind = response.headers.get("content-type", "")
    return kind.startswith("text/html") or response.content[:99].lstrip().lower().startswith(PAGES)


def accepted(call: Call, response: httpx.Response) -> httpx.Response:
    """The response if it means yes; else the error its status and words mean."""
    status = response.status_code
    if status in call.accept:
        return response
    allocation = allocation_trouble(response)
    if allocation is not None:
        raise allocation
    if response.is_success:
        return response
    words = f"{call.method} {call.url}: {status} {message_of(response)}"
    if status == 507:
        raise TierCorrupted(words)
    if status in (429, 503):
        raise TierBusy(words, seconds=_retry_after(response, 300.0))
    if status >= 500:
        raise TierUnknown(words) if call.changes else TierBusy(words)
    if status == 409:
        raise TierBusy(words)
    raise _busy_or_refused(words)


def allocation_trouble(response: httpx.Response) -> TierError | None:
    """ARS reports a failed allocation inside the body, under 200 as under 4xx."""
    if not response.headers.get("content-type", "").startswith("application/json"):
        return None
    body = _json(response)
    info = (body.get("httpInfo") or body) if isinstance(body, dict) else {}
    verdict = info.get("http_allocation_status") if isinstance(info, dict) else None
    if verdict in (None, "SUCCESS"):
        return None
    words = f"{verdict}: {info.get('allocation_status_text') or 'no reason given'}"
    if verdict == "DISK_FULL":
        return TierBusy(words, seconds=DISK_FULL_SECONDS)
    if verdict == "UPSTREAM_ERROR":
        return TierBusy(words, seconds=300)
    if verdict in ("BAD_REQUEST", "SHARE_NOT_FOUND"):
        return _busy_or_refused(words)
    return TierUnknown(words)


def parsed(call: Call, response: httpx.Response, parse: Callable[[Any], T]) -> T:
    """The JSON body as a record. One that is none (a proxy's page) is no answer at all."""
    try:
        return parse(response.json())
    except (ValueError, KeyError, TypeError, AttributeError) as odd:
        raise no_answer(call, odd) from odd


def message_of(response: httpx.Response) -> str:
    """ARS's own words, from whichever shape of error body it used."""
    body = _json(response)
    if body is None:
        return response.text[:300]
    if isinstance(body, dict):
        body = body.get("errorMessage") or body.get("error") or body
    return str(body)[:300]


def _json(response: httpx.Response) -> Any:
    """The body as JSON says it; None when it is none."""
    try:
        return response.json()
    except ValueError:
        return None


def _busy_or_refused(words: str) -> TierError:
    for phrase, seconds in _BUSY_WORDS.items():
        if phrase in words.lower():
            return TierBusy(words, seconds=seconds)
    return TierRefused(words)


def _retry_after(response: httpx.Response, otherwise: float) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isdigit() else otherwise
