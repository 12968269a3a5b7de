"""Parts of a page that stay true while somebody looks: sent when they change, as server-sent
events.

All who look at one part share it: it is read and made at most every two seconds, whoever of them
asks first, and only while anybody looks. A stream ends with its client, or when its visitor may
not look any more.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.responses import StreamingResponse

from board.context import Board, Here
from board.login.admission import login_of
from board.visitors import Reader, Visitor

log = logging.getLogger(__name__)

EVERY_S = 2.0
"""A part is made anew so often at most."""

KEEP_ALIVE_S = 15.0
"""After so long without a change a comment is sent; as often the login is looked at again."""

MAX_STREAMS = 200
"""Streams that are open at once, of all visitors; one more is asked to come again."""

RETRY_AFTER_S = 30
RECONNECT_MS = 3000

ReadPart = Callable[[Board, Mapping[str, str]], Awaitable[Mapping[str, Any]]]
"""What a part shows, from the fields of its address and query. Raises HTTPException where there
is no such thing."""


@dataclass(frozen=True)
class Rendered:
    """A part as it was made last, and its fingerprint."""

    html: str
    id: str

    @classmethod
    def of(cls, html: str) -> "Rendered":
        """With its fingerprint."""
        return cls(html, hashlib.sha256(html.encode()).hexdigest()[:16])

    def event(self) -> str:
        """It as one event: a line of data for each of its lines."""
        data = "".join(f"data: {line}\n" for line in self.html.splitlines())
        return f"id: {self.id}\nevent: part\n{data}\n"


@dataclass
class SharedPart:
    """One part that any number of streams follow; `made_at` is of the monotonic clock."""

    make: Callable[[], Awaitable[str]]
    followers: int = 0
    made_at: float = float("-inf")
    last: Rendered | None = None
    _making: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def latest(self) -> Rendered | None:
        """It as it is now, or was less than two seconds ago; None while it cannot be read."""
        async with self._making:
            if time.monotonic() - self.made_at >= EVERY_S:
                try:
                    self.last = Rendered.of(await self.make())
                except (OperationalError, InterfaceError, NoConnection, OSError) as error:
                    log.warning("a part of a page could not be read: %s", error)
                    self.last = None
                self.made_at = time.monotonic()
            return self.last


@dataclass
class LiveParts:
    """What anybody looks at now, by its address; kept in the state of the application."""

    parts: dict[str, SharedPart] = field(default_factory=dict)

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return sum(part.followers for part in self.parts.values())

    @contextmanager
    def following(self, address: str, make: Callable[[], Awaitable[str]]) -> Iterator[SharedPart]:
        """The part at an address, shared with all who follow it, for this block.

        One that nobody follows is kept while it is fresh: many may come one after another.
        """
        self._forget()
        part = self.parts.setdefault(address, SharedPart(make))
        part.followers += 1
        try:
            yield part
        finally:
            part.followers -= 1

    def _forget(self) -> None:
        long_ago = time.monotonic() - EVERY_S
        for address, part in list(self.parts.items()):
            if not part.followers and part.made_at < long_ago:
                del self.parts[address]


async def _live_parts(request: Request) -> LiveParts:
    live: LiveParts = request.app.state.live
    return live


Live = Annotated[LiveParts, Depends(_live_parts)]


def live_fragment(router: APIRouter, address: str, read: ReadPart, template: str) -> None:
    """Have a router send a part of a page at an address, now and whenever it changed.

    `read` gives what the template shows, which must be the same for every visitor: what only one
    of them may see belongs outside of the part. In the page it is the inside of
    `<section data-live="ADDRESS">`; an element with `data-key` keeps its place in what changes.
    """

    async def stream(
        request: Request, here: Here, live: Live, visitor: Reader
    ) -> StreamingResponse:
        asked = dict(request.query_params) | request.path_params

        async def make() -> str:
            return here.render(template, **await read(here, asked))

        if live.streams >= MAX_STREAMS:
            raise _not_now("too many pages are open: this one stays as it is")
        key = f"{request.url.path}?{request.url.query}"
        with live.following(key, make) as part:
            first = await part.latest()
        if first is None:
            raise _not_now("the database cannot be reached just now")
        events = _events(request, visitor, live.following(key, make), first)
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    router.add_api_route(address, stream, include_in_schema=False)


def _not_now(why: str) -> HTTPException:
    return HTTPException(503, why, {"Retry-After": str(RETRY_AFTER_S)})


async def _events(
    request: Request,
    visitor: Visitor,
    following: AbstractContextManager[SharedPart],
    sent: Rendered,
) -> AsyncIterator[str]:
    """What is sent: the part, itself again when it changed, and a sign of life now and then."""
    begin = f"retry: {RECONNECT_MS}\n\n"
    # A browser that was cut off says what it had last.
    known = request.headers.get("last-event-id") == sent.id
    yield begin if known else begin + sent.event()
    said_at = looked_at = time.monotonic()
    with following as part:
        while True:
            await asyncio.sleep(EVERY_S)
            if time.monotonic() - looked_at >= KEEP_ALIVE_S:
                if not _may_still_look(request, visitor):
                    return
                looked_at = time.monotonic()
            try:
                now = await part.latest()
            except HTTPException:  # what it shows is not there any more
                return
            if now is not None and now.id != sent.id:
                yield now.event()
                sent, said_at = now, time.monotonic()
            elif time.monotonic() - said_at >= KEEP_ALIVE_S:
                yield ": nothing new\n\n"
                said_at = time.monotonic()


def _may_still_look(request: Request, visitor: Visitor) -> bool:
    """Whether whoever opened a stream is still logged in, as who they were."""
    try:
        return login_of(request).who(request) == visitor
    except HTTPException:
        return False
