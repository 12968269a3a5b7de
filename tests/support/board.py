"""The board's application, asked as a browser asks it but without a socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from board.app import create_app
from board.context import BoardConfig


def board_config(database_url: str, **given: Any) -> BoardConfig:
    """The board of a test, on nothing but its database."""
    usual = {"prefect": "http://127.0.0.1:9", "prefect_api": "http://127.0.0.1:9/api"}
    return BoardConfig(database_url=database_url, **(usual | given))


@asynccontextmanager
async def open_board(database_url: str, **given: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A running board; `given` are fields of its `BoardConfig`."""
    app = create_app(board_config(database_url, **given))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
    ):
        yield client
