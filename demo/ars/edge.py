"""The outermost layer: every request is identified, struck by a fault if one is due, recorded.

It stands where the museum's proxy stands, so a fault here looks to the client exactly like one
between it and the archive: the work may have been done or not, and the answer does not say.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.ars.faults import Edge, Rule
from demo.ars.store import run
from demo.ars.world import World

_CREATE = "/ars/api/v1/assetmetadata"
_GUID_IN_PATH = re.compile(
    r"^/ars/api/v1/(?:assetmetadata|assets/status)/(?P<a>[^/]+)"
    r"|^/file_proxy/api/shares/assets/(?P<b>[^/]+)"
    r"|^/file_proxy/api/(?:files/assets|assetfiles)/(?!listfiles/)[^/]+/[^/]+/(?P<c>[^/]+)"
    r"|^/file_proxy/api/assetfiles/listfiles/(?P<d>[^/]+)"
    r"|^/file_proxy/api/assets/(?P<e>[^/]+)/files"
)
_MAX_KEPT = 16_000_000
_CHALLENGE = [(b"www-authenticate", b'Bearer error="invalid_token"')]


class EdgeLayer:
    """ASGI middleware around the whole stand-in; `/__sim` passes untouched."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/__sim"):
            await self._app(scope, receive, send)
            return
        guid, receive = await _identify(scope, receive)
        rule = self._world.faults.at_edge(scope["method"], scope["path"], guid)

        async def record(answer: "_Answer") -> None:
            await self._record(scope, guid, answer, rule)

        answer = _Answer(send, record)
        try:
            if rule is None:
                await self._app(scope, receive, answer.passing)
            else:
                await self._strike(rule, scope, receive, answer)
        finally:
            await answer.recorded()

    async def _strike(self, rule: Rule, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        match rule.action:
            case Edge.LATENCY:
                await asyncio.sleep(rule.seconds)
                await self._app(scope, receive, answer.passing)
            case Edge.STATUS:
                await _drain(receive)
                await answer.refuse(rule.status or 500)
            case Edge.UNAUTHORISED:
                await _drain(receive)
                await answer.refuse(401, _CHALLENGE)
            case Edge.EFFECT_THEN_STATUS:
                await self._app(scope, receive, answer.swallowing)
                await asyncio.sleep(rule.seconds)
                await answer.refuse(rule.status or 504)
            case Edge.EFFECT_THEN_RESET:
                await self._app(scope, receive, answer.swallowing)
                await asyncio.sleep(rule.seconds)
                await answer.cut()
            case Edge.CUT_UPLOAD:
                await self._cut_upload(rule, scope, receive, answer)
            case _:
                await answer.cut()

    async def _cut_upload(
        self, rule: Rule, scope: Scope, receive: Receive, answer: "_Answer"
    ) -> None:
        left = rule.bytes

        async def part() -> Message:
            nonlocal left
            if left <= 0:
                await answer.cut()
                return {"type": "http.disconnect"}
            message = await receive()
            if message["type"] == "http.request":
                message["body"] = message["body"][:left]
                left -= len(message["body"])
                message["more_body"] = True
            return message

        with suppress(ClientDisconnect):
            await self._app(scope, part, answer.swallowing)

    async def _record(
        self, scope: Scope, guid: str | None, answer: "_Answer", rule: Rule | None
    ) -> None:
        if not self._world.config.control:
            return
        values = (
            scope["method"],
            _printable(scope["path"]),
            scope["query_string"].decode("latin-1"),
            _printable(guid) if guid else None,
            answer.sent_status,
            answer.effect_status,
            rule.action.value if rule else None,
        )
        async with self._world.store.transaction() as db:
            await run(
                db,
                "INSERT INTO request (method, path, query, guid, status, effect_status, fault)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                *values,
            )


def _printable(text: str) -> str:
    return text.replace("\x00", "\ufffd")


class _Answer:
    """What the archive answered (`effect_status`) and what the client saw (`sent_status`).

    The request is recorded before the client learns anything: whoever has an answer in hand
    finds the request in the log.
    """

    def __init__(self, send: Send, record: Callable[["_Answer"], Awaitable[None]]) -> None:
        self._send = send
        self._record = record
        self._is_recorded = False
        self.effect_status: int | None = None
        self.sent_status: int | None = None

    async def recorded(self) -> None:
        if not self._is_recorded:
            self._is_recorded = True
            await self._record(self)

    async def passing(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.effect_status = self.sent_status = message["status"]
            await self.recorded()
        await self._send(message)

    async def swallowing(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.effect_status = message["status"]

    async def refuse(self, status: int, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.sent_status = status
        await self.recorded()
        start = [(b"content-length", b"0"), *(headers or [])]
        await self._send({"type": "http.response.start", "status": status, "headers": start})
        await self._send({"type": "http.response.body", "body": b""})

    async def cut(self) -> None:
        """Close the socket without a word.

        ASGI has no message for it, so the server's transport is taken from the bound `send`;
        where there is none (an in-process client), the exception ends the call instead.
        """
        await self.recorded()
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)
        if not isinstance(transport, asyncio.Transport):
            raise ConnectionResetError("the connection was cut on demand")
        transport.abort()


async def _identify(scope: Scope, receive: Receive) -> tuple[str | None, Receive]:
    """The guid a request is about; a creation names it in the body, which is read and replayed."""
    if scope["method"] == "POST" and scope["path"] == _CREATE:
        body = await _drain(receive)
        replayed = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def replay() -> Message:
            return next(replayed, None) or await receive()

        return _guid_in_body(body), replay
    found = _GUID_IN_PATH.match(scope["path"])
    return (found[found.lastgroup] if found and found.lastgroup else None), receive


def _guid_in_body(body: bytes) -> str | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    guid = document.get("asset_guid") if isinstance(document, dict) else None
    return guid if isinstance(guid, str) else None


async def _drain(receive: Receive) -> bytes:
    """Read a body to its end, keeping no more than an asset document needs."""
    kept, more = bytearray(), True
    while more:
        message = await receive()
        if len(kept) < _MAX_KEPT:
            kept += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return bytes(kept)


_FOLDER = re.compile(r"/file_proxy/api/(?:assetfiles|files/assets)/[^/]+/[^/]+/[^/]+")
"""An asset's folder. Its routes take the rest of the path, which begins with a slash."""


class SameWithSlash:
    """ASGI middleware: a path with a slash at its end is the path without, as in the archive.

    Nothing is redirected: a redirect loses the body of a POST.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": routed(scope["path"])}
        await self._app(scope, receive, send)


def routed(path: str) -> str:
    """The path that its route matches."""
    bare = path.rstrip("/") or "/"
    return f"{bare}/" if _FOLDER.fullmatch(bare) else bare
