"""The board as an application: its health, its errors, and what every answer says of itself."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.board import open_board

HTML = {"Accept": "text/html"}


@pytest.fixture
async def board(database: str) -> AsyncIterator[httpx.AsyncClient]:
    async with open_board(database) as client:
        yield client


async def test_it_is_well_while_the_database_answers(board: httpx.AsyncClient) -> None:
    assert (await board.get("/health")).json() == {"status": "ok", "database": True}


async def test_without_a_database_it_says_so_and_does_not_break() -> None:
    async with open_board("postgresql+psycopg://nobody@127.0.0.1:9/none") as board:
        assert (await board.get("/health")).status_code == 503


async def test_an_address_that_is_not_there_gets_a_page_that_says_what_to_try(
    board: httpx.AsyncClient,
) -> None:
    answer = await board.get("/no/such", headers=HTML)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text and 'href="/find"' in answer.text


async def test_a_program_gets_its_error_as_json(board: httpx.AsyncClient) -> None:
    answer = await board.get("/no/such", headers={"Accept": "application/json"})
    assert (answer.status_code, list(answer.json())) == (404, ["error"])


async def test_every_answer_forbids_what_comes_from_elsewhere(board: httpx.AsyncClient) -> None:
    for path in ("/no/such", "/health", "/static/board.css"):
        headers = (await board.get(path)).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


async def test_pages_are_kept_by_nobody_and_the_stylesheet_may_be(
    board: httpx.AsyncClient,
) -> None:
    assert (await board.get("/no/such")).headers["cache-control"] == "no-store"
    assert "no-store" not in (await board.get("/static/board.css")).headers.get("cache-control", "")
