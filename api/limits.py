"""Limits the size of every request's body, and times the request.

A body that is too large is refused by its announced length, and while it is read by
its real one. Plain ASGI, since a middleware that reads bodies itself costs a copy.
"""

import re
import time
from collections.abc import Callable

from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import RequestMetrics
from api.problems import answer_to

BODY_LIMIT = 2_000_000
OUTPUT_LIMIT = 64_000_000
OUTPUTS = re.compile(r"/attempts/[^/]+/outputs/[^/]+")
SIZED = re.compile(r"/sites/[^/]+/outputs/[^/]+/[^/]+")
"""Where a result has announced the size, to which its route keeps."""

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
"""What requests are counted by; a client may call a method as it likes."""

Answer = Callable[[Scope, int, str], ASGIApp]


class BodyLimit:
    """Refuses bodies of more than BODY_LIMIT bytes, or OUTPUT_LIMIT for an output, with 413.

    The bodies of paths that `sized` matches are limited by their routes; `answer` makes a refusal.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: int = BODY_LIMIT,
        sized: re.Pattern[str] = SIZED,
        answer: Answer = answer_to,
    ) -> None:
        self._app, self._limit, self._sized, self._answer = app, limit, sized, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if self._sized.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        limit = OUTPUT_LIMIT if OUTPUTS.fullmatch(scope["path"]) else self._limit
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if not announced.isdigit() or int(announced) > limit:
            answer = self._answer(scope, 413, _too_large(limit))
            await answer(scope, receive, send)
            return
        await self._app(scope, _counted(receive, limit), send)


def _counted(receive: Receive, limit: int) -> Receive:
    read = 0

    async def counting() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return counting


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit} bytes"


class RequestTimer:
    """Times every request under its route's pattern."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self._metrics.answered(
                _known(scope["method"]), path, status, time.perf_counter() - began
            )


def _known(method: str) -> str:
    return method if method in METHODS else "other"
