"""Prefect's API without its events: everything passes but the streams they come and go by."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.serving import free_port, served

VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
OF_ONE_HOP = {"host", "connection", "content-length", "transfer-encoding", "content-encoding"}


@dataclass
class DeafPrefect:
    """Passes requests on to the server at `target`; `refused` counts the streams asked for."""

    target: str
    port: int
    refused: int = 0

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    async def pass_on(self, request: Request) -> Response:
        if "upgrade" in request.headers:
            self.refused += 1
            return Response(status_code=503)
        sent = {k: v for k, v in request.headers.items() if k not in OF_ONE_HOP}
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            answer = await http.request(
                request.method,
                f"{self.target}{request.url.path}?{request.url.query}",
                content=await request.body(),
                headers=sent,
            )
        got = {k: v for k, v in answer.headers.items() if k not in OF_ONE_HOP}
        return Response(answer.content, answer.status_code, got)


@contextmanager
def deaf_prefect(target: str) -> Iterator[DeafPrefect]:
    """Serve one on a free port, from a thread, until the block ends."""
    made = DeafPrefect(target, free_port())
    app = Starlette(routes=[Route("/{path:path}", made.pass_on, methods=VERBS)])
    with served(app, made.port, ws="none"):
        yield made
