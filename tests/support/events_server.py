"""A tiny HTTP server that takes events as Prefect's API does, and can be down or refuse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.serving import free_port, serving


@dataclass
class EventsServer:
    """What was posted, list by list; `status` is what it answers."""

    port: int
    lists: list[list[dict[str, Any]]] = field(default_factory=list)
    status: int = 204
    poison: str = ""
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for each in self.lists for event in each]

    async def take(self, request: Request) -> Response:
        """POST /api/events."""
        body = await request.json()
        self.came.set()
        if self.poison and any(self.poison in str(event) for event in body):
            return Response(status_code=422)
        if self.status == 204:
            self.lists.append(body)
        return Response(status_code=self.status)

    async def expect(self, kind: str, count: int = 1, seconds: float = 60) -> list[dict[str, Any]]:
        """The events of a kind, once there are so many."""
        async with asyncio.timeout(seconds):
            while len(found := [e for e in self.events if e["event"] == kind]) < count:
                self.came.clear()
                await self.came.wait()
        return found

    @classmethod
    @asynccontextmanager
    async def serve(cls, port: int | None = None) -> AsyncIterator["EventsServer"]:
        """Serve on loopback for as long as the block lasts."""
        made = cls(port or free_port())
        app = Starlette(routes=[Route("/api/events", made.take, methods=["POST"])])
        async with serving(app, made.port):
            yield made
