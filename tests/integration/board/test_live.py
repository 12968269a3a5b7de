"""A part of a page that is sent again to all who look at it, when it changed and not else."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from jinja2 import ChoiceLoader, DictLoader
from sqlalchemy.exc import OperationalError

from blocks.access.passwords import Passwords
from blocks.access.signing_in import LocalLogin
from board import live
from board.app import create_app
from board.context import Board
from board.live import live_fragment
from board.login.admission import BoardLogin
from tests.support.board import QUICK, board_config, log_in, login_config
from tests.support.serving import free_port, serving

PATIENCE_S = 20.0


@dataclass
class Shown:
    """What a page's part shows, and how often it was read."""

    words: str = "first"
    reads: int = 0
    fault: Exception | None = None
    asked: list[Mapping[str, str]] = field(default_factory=list)

    async def read(self, here: Board, asked: Mapping[str, str]) -> dict[str, Any]:
        self.reads += 1
        self.asked.append(asked)
        if self.fault is not None:
            raise self.fault
        return {"words": self.words}


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def app() -> FastAPI:
    return create_app(board_config())


@pytest.fixture
async def board(
    app: FastAPI, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """A board with one live part, whose streams are quick to look again."""
    monkeypatch.setattr(live, "EVERY_S", 0.05)
    router = APIRouter()
    live_fragment(router, "/live/shown/{name}", shown.read, "shown.html")
    app.include_router(router)
    async with serving(app, free_port()) as address:
        templates = app.state.board.templates
        mine = DictLoader({"shown.html": "<p>{{ words }}</p>\n<p>two lines</p>"})
        templates.loader = ChoiceLoader([mine, templates.loader])
        async with httpx.AsyncClient(base_url=address, timeout=PATIENCE_S) as client:
            yield client


@asynccontextmanager
async def events(
    board: httpx.AsyncClient, path: str = "/live/shown/a", **headers: str
) -> AsyncIterator[AsyncIterator[str]]:
    """The blocks of an open stream."""
    async with board.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")

        async def blocks() -> AsyncIterator[str]:
            lines: list[str] = []
            async for line in answer.aiter_lines():
                if line:
                    lines.append(line)
                    continue
                yield "\n".join(lines)
                lines = []

        async with asyncio.timeout(PATIENCE_S):
            yield blocks()


async def part(stream: AsyncIterator[str]) -> str:
    """The next part that is sent, whatever else comes before it."""
    async for block in stream:
        if "event: part" in block:
            return block
    raise AssertionError("the stream ended")


async def test_a_part_is_sent_at_once_and_again_when_it_changed(
    board: httpx.AsyncClient, shown: Shown
) -> None:
    async with events(board) as stream:
        assert "data: <p>first</p>\ndata: <p>two lines</p>" in await part(stream)
        reads = shown.reads
        while shown.reads < reads + 3:  # looked at, and the same
            await asyncio.sleep(0.01)
        shown.words = "<second>"
        assert "data: <p>&lt;second&gt;</p>" in await part(stream)


async def test_fifty_who_look_at_one_part_share_its_reads(
    board: httpx.AsyncClient, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "EVERY_S", 0.5)

    async def follow(client: httpx.AsyncClient) -> None:
        async with events(client) as stream:
            assert "first" in await part(stream)
            seen.append(1)
            while len(seen) < 50:
                await asyncio.sleep(0.02)
            shown.words = "second"
            assert "second" in await part(stream)

    seen: list[int] = []
    limits = httpx.Limits(max_connections=60)
    begun = asyncio.get_running_loop().time()
    async with httpx.AsyncClient(
        base_url=board.base_url, timeout=PATIENCE_S, limits=limits
    ) as client:
        await asyncio.gather(*(follow(client) for _ in range(50)))
    lasted = asyncio.get_running_loop().time() - begun
    assert shown.reads <= 2 * (lasted / 0.5) + 4


async def test_parts_of_other_addresses_are_read_with_their_own_fields(
    board: httpx.AsyncClient, shown: Shown
) -> None:
    async with events(board, "/live/shown/b%20c?day=2026-11-28") as stream:
        await part(stream)
    assert shown.asked[0] == {"name": "b c", "day": "2026-11-28"}


async def test_nobody_reads_for_those_who_went(
    board: httpx.AsyncClient, app: FastAPI, shown: Shown
) -> None:
    async with events(board) as stream:
        await part(stream)
    async with asyncio.timeout(PATIENCE_S):
        while app.state.live.streams:
            await asyncio.sleep(0.01)
    reads = shown.reads
    await asyncio.sleep(0.3)  # six turns, had one been left
    assert shown.reads == reads


async def test_a_browser_that_was_cut_off_is_not_sent_what_it_has(
    board: httpx.AsyncClient, shown: Shown
) -> None:
    async with events(board) as stream:
        (known,) = (line[4:] for line in (await part(stream)).split("\n") if line[:3] == "id:")
    async with events(board, **{"Last-Event-ID": known}) as stream:
        assert await anext(stream) == "retry: 3000"
        shown.words = "second"
        assert "second" in await part(stream)


async def test_a_quiet_stream_shows_that_it_lives(
    board: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "KEEP_ALIVE_S", 0.1)
    async with events(board) as stream:
        await part(stream)
        assert await anext(stream) == ": nothing new"


async def test_a_stream_outlives_a_database_that_is_away(
    board: httpx.AsyncClient, shown: Shown
) -> None:
    async with events(board) as stream:
        await part(stream)
        shown.fault = OperationalError("SELECT 1", {}, Exception("away"))
        reads = shown.reads
        while shown.reads < reads + 2:
            await asyncio.sleep(0.01)
        shown.fault, shown.words = None, "back"
        assert "back" in await part(stream)


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (HTTPException(404, "there is no such session"), 404),
        (OperationalError("SELECT 1", {}, Exception("away")), 503),
    ],
)
async def test_what_is_not_there_is_answered_as_an_error(
    board: httpx.AsyncClient, shown: Shown, fault: Exception, status: int
) -> None:
    shown.fault = fault
    answer = await board.get("/live/shown/a")
    assert answer.status_code == status


async def test_a_stream_ends_when_what_it_shows_is_gone(
    board: httpx.AsyncClient, shown: Shown
) -> None:
    async with events(board) as stream:
        await part(stream)
        shown.fault = HTTPException(404)
        assert [block async for block in stream] == []


async def test_a_stream_ends_with_the_login(
    app: FastAPI, board: httpx.AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "KEEP_ALIVE_S", 0.1)
    config = login_config(tmp_path)
    app.state.login = BoardLogin(config, "127.0.0.1")
    app.state.login.local = LocalLogin(app.state.login.users, Passwords(QUICK))
    refused = await board.get("/live/shown/a", headers={"Accept": "application/json"})
    assert refused.status_code == 401
    await log_in(board, "bo")
    async with events(board) as stream:
        await part(stream)
        assert await anext(stream) == ": nothing new", "it goes on while the login holds"
        app.state.login.users.remove("bo")
        assert "event: part" not in "".join([block async for block in stream])


async def test_more_streams_than_are_served_are_asked_to_come_again(
    board: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_STREAMS", 1)
    async with events(board) as stream:
        await part(stream)
        answer = await board.get("/live/shown/a", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert "too many pages" in json.loads(answer.text)["error"]
