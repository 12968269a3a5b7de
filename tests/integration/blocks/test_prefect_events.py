"""Events over real HTTP, to a server that is there, refuses, stumbles or is gone."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from blocks.prefect_events import NotAnnounced, PrefectEvents
from schemas.events import SESSION_READY, session_event
from tests.support.ports import free_port

EVENT = session_event(SESSION_READY, "s1", payload={"path": "N/Besøg æ"})


@asynccontextmanager
async def server(*answers: int) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """An HTTP server that gives these status codes, one after another, the last for ever."""
    seen: list[dict[str, Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        code = answers[min(len(seen), len(answers) - 1)]
        seen.append({"line": head.splitlines()[0], "headers": headers, "body": body})
        writer.write(f"HTTP/1.1 {code} X\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        port = running.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/api", seen


async def test_an_event_is_a_list_of_one_stamped_with_the_time_of_sending() -> None:
    async with server(204) as (url, seen), PrefectEvents(url, auth="admin:pass") as emit:
        await emit(EVENT)
    [request] = seen
    assert request["line"] == "POST /api/events HTTP/1.1"
    assert request["headers"]["authorization"].startswith("basic ")
    [body] = request["body"]
    occurred = datetime.fromisoformat(body.pop("occurred"))
    assert abs((datetime.now(UTC) - occurred).total_seconds()) < 30
    assert body == EVENT


async def test_a_server_that_stumbles_is_asked_again_with_the_same_event() -> None:
    async with server(503, 500, 204) as (url, seen), PrefectEvents(url, waits=(0, 0)) as emit:
        await emit(EVENT)
    assert len(seen) == 3
    assert len({request["body"][0]["id"] for request in seen}) == 1


async def test_a_refusal_is_not_repeated() -> None:
    async with server(422) as (url, seen), PrefectEvents(url, waits=(0, 0)) as emit:
        with pytest.raises(NotAnnounced, match="refused"):
            await emit(EVENT)
    assert len(seen) == 1


async def test_nobody_there_is_an_event_still_owed() -> None:
    async with PrefectEvents(f"http://127.0.0.1:{free_port()}/api", waits=(0,)) as emit:
        with pytest.raises(NotAnnounced, match="did not take an event"):
            await emit(EVENT)
