"""Every page needs a login and every form its token, whoever wrote the page."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from board.login.admission import FOR_MACHINES, TO_LOG_IN
from board.login.forgery import MAX_FORM, SAFE, TOO_OLD
from board.pages import ROUTERS
from tests.support.board import board_app, browsing, csrf_in, log_in, login_config, with_probes

ADDRESS = "https://board.example"


def routes() -> Iterator[tuple[str, str]]:
    """Method and path of all that the board answers to."""
    for router in ROUTERS:
        for route in router.routes:
            path = re.sub(r"{[^}]+}", "1", getattr(route, "path"))  # noqa: B009
            yield from ((method, path) for method in sorted(getattr(route, "methods")))  # noqa: B009


UNSAFE = [*((m, p) for m, p in routes() if m not in SAFE), ("POST", "/act")]
PAGES = sorted({p for m, p in routes() if m in SAFE} - FOR_MACHINES - TO_LOG_IN | {"/", "/who"})


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = with_probes(board_app(login=login_config(tmp_path)))
    async with browsing(app) as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
async def test_no_page_is_shown_to_a_stranger(board: httpx.AsyncClient, path: str) -> None:
    answer = await board.get(path)
    assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login")


@pytest.mark.parametrize(("method", "path"), UNSAFE)
async def test_nothing_is_done_without_the_sessions_token(
    board: httpx.AsyncClient, method: str, path: str
) -> None:
    await log_in(board, "anna")
    for sent in ({}, {"csrf": ""}, {"csrf": "another"}, {"csrf": "å"}):
        answer = await board.request(method, path, data={"x": "y"} | sent)
        assert (answer.status_code, TOO_OLD in answer.text) == (403, True)


@pytest.mark.parametrize(("method", "path"), UNSAFE)
@pytest.mark.parametrize(
    "header",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:81"},
    ],
    ids=str,
)
async def test_nothing_is_done_for_a_form_of_another_site(
    board: httpx.AsyncClient, method: str, path: str, header: dict[str, str]
) -> None:
    await log_in(board, "anna")
    token = csrf_in(await board.get("/no/such"))
    answer = await board.request(method, path, data={"csrf": token}, headers=header)
    assert (answer.status_code, "sent from another site" in answer.text) == (403, True)


@pytest.mark.parametrize(
    "header",
    [{}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://127.0.0.1"}, {"Origin": ADDRESS}],
    ids=str,
)
async def test_a_form_of_ours_is_taken_also_behind_a_proxy(
    tmp_path: Path, header: dict[str, str]
) -> None:
    config = login_config(tmp_path, address=ADDRESS)
    app = with_probes(board_app(login=config))
    async with browsing(app, "https://127.0.0.1") as board:
        await log_in(board, "anna")
        token = csrf_in(await board.get("/no/such"))
        for sent in ({"data": {"csrf": token}}, {"headers": {"X-CSRF-Token": token}}):
            sent["headers"] = sent.get("headers", {}) | header
            assert (await board.post("/act", **sent)).json() == {"by": "anna"}


async def test_the_token_of_another_session_is_not_taken(
    board: httpx.AsyncClient, tmp_path: Path
) -> None:
    await log_in(board, "anna")
    token = csrf_in(await board.get("/no/such"))
    board.cookies.clear()
    await log_in(board, "anna")
    assert (await board.post("/act", data={"csrf": token})).status_code == 403


async def test_a_form_that_is_too_long_or_does_not_say_how_long_is_not_read(
    board: httpx.AsyncClient,
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"csrf=x"

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await board.post("/login", content=endless(), headers=kind)).status_code == 411
    big = await board.post("/login", data={"csrf": "x" * MAX_FORM})
    assert big.status_code == 413
