"""The outermost layer: every request is identified, struck by a fault if one is due, recorded.

It stands where the museum's proxy stands, so a fault here looks to the client exactly like one
between it and the archive: the work may have been done or not, and the answer does not say.
"""

import asyncio
import json
import re
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo.ars.faults import Edge, Rule
from demo.ars.store import insert
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


class EdgeLayer:
    """ASGI middleware around the whole stand-in; `/__sim` knows neither faults nor records.

    A path with a slash at its end is the path without, as in the archive. Nothing is
    redirected: a redirect loses the body of a POST.
    """

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": routed(scope["path"])}
        if scope["type"] != "http" or scope["path"].startswith("/__sim"):
            await self._app(scope, receive, send)
            return
        guid, receive = await _identify(scope, receive)
        rule = self._world.faults.at_edge(scope["method"], scope["path"], guid)
        answer = _Answer(self._world, scope, guid, rule, send)
        try:
            if rule is None:
                await self._app(scope, receive, answer.passing)
            else:
                await self._strike(rule, scope, receive, answer)
        finally:
            await answer.record()

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
                await answer.refuse(401, (b"www-authenticate", b'Bearer error="invalid_token"'))
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


class _Answer:
    """What the archive answered (`effect_status`) and what the client saw (`status`).

    The request is recorded before the client learns anything: whoever has an answer in hand
    finds the request in the log.
    """

    def __init__(
        self, world: World, scope: Scope, guid: str | None, rule: Rule | None, send: Send
    ) -> None:
        self._world = world
        self._request: dict[str, Any] = {
            "method": scope["method"],
            "path": _printable(scope["path"]),
            "query": scope["query_string"].decode("latin-1"),
            "guid": _printable(guid) if guid else None,
            "fault": rule.action.value if rule else None,
        }
        self._send = send
        self._is_recorded = not world.config.control
        self.effect_status: int | None = None
        self.status: int | None = None

    async def record(self) -> None:
        """Record the request, once."""
        if self._is_recorded:
            return
        self._is_recorded = True
        row = self._request | {"status": self.status, "effect_status": self.effect_status}
        async with self._world.store.transaction() as db:
            await insert(db, "request", **row)

    async def passing(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.effect_status = self.status = message["status"]
            await self.record()
        await self._send(message)

    async def swallowing(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.effect_status = message["status"]

    async def refuse(self, status: int, *headers: tuple[bytes, bytes]) -> None:
        self.status = status
        await self.record()
        start = [(b"content-length", b"0"), *headers]
        await self._send({"type": "http.response.start", "status": status, "headers": start})
        await self._send({"type": "http.response.body", "body": b""})

    async def cut(self) -> None:
        """Close the socket without a word.

        ASGI has no message for it, so the server's transport is taken from the bound `send`;
        where there is none (an in-process client), the exception ends the call instead.
        """
        await self.record()
        transport = getattr(getattr(self._send, "__self__", None), "transport", None)
        if not isinstance(transport, asyncio.Transport):
            raise ConnectionResetError("the connection was cut on demand")
        transport.abort()


def _printable(text: str) -> str:
    return text.replace("\x00", "\ufffd")


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


def routed(path: str) -> str:
    """The path that its route matches."""
    bare = path.rstrip("/") or "/"
    return f"{bare}/" if _FOLDER.fullmatch(bare) else bare
