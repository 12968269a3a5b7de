"""A board that nobody may log in to: readable on its own host, closed to everybody else."""

from typing import Any

import pytest

from board.login.config import LoginConfig
from tests.support.board import board_app, browsing, with_probes

REMEDY = "refinery user add"


def an_app(**given: Any) -> Any:
    return with_probes(board_app(**given))


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1", "http://localhost:8300", "http://[::1]:8300", "http://127.0.0.1:8300"],
)
async def test_on_its_own_host_everybody_reads(address: str) -> None:
    async with browsing(an_app(), address) as board:
        assert (await board.get("/who")).json() == {"name": "", "role": "reader"}
        assert "This board is read-only: nobody is configured" in (await board.get("/no/such")).text
        assert (await board.get("/login")).status_code == 303


async def test_nobody_acts() -> None:
    async with browsing(an_app()) as board:
        token = csrf_in_cookie(board, await board.get("/no/such"))
        answer = await board.post("/act", headers={"X-CSRF-Token": token})
        assert answer.status_code == 403 and REMEDY in answer.text


def csrf_in_cookie(board: Any, page: Any) -> str:
    """The token of a session whose pages have no form, as its own script could not read it."""
    import base64
    import json

    ((_, value),) = board.cookies.items()
    token: str = json.loads(base64.b64decode(value.partition(".")[0]))["csrf"]
    return token


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"}, {"Host": "localhost.evil.example"}, {"Host": ""},
        {"Host": "127.0.0.1.evil.example:80"}, {"Host": "evil.example:127.0.0.1"},
        {"Host": "127.0.0.2"}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-Host": "localhost"},
        {"X-Forwarded-Proto": "https"}, {"Forwarded": "for=127.0.0.1"}, {"Via": "1.1 proxy"},
        {"X-Real-IP": "127.0.0.1"},
    ],
    ids=str,
)  # fmt: skip
async def test_it_answers_no_other_name_and_no_proxy(headers: dict[str, str]) -> None:
    async with browsing(an_app()) as board:
        for path in ("/who", "/", "/login"):
            answer = await board.get(path, headers=headers)
            assert (answer.status_code, REMEDY in answer.text) == (403, True)


async def test_it_answers_no_other_machine() -> None:
    async with browsing(an_app(), peer="192.0.2.7") as board:
        assert (await board.get("/who")).status_code == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "board.example", ""])
async def test_where_others_can_reach_it_every_page_is_closed(host: str) -> None:
    async with browsing(an_app(host=host)) as board:
        answer = await board.get("/who")
        assert (answer.status_code, REMEDY in answer.text) == (403, True)
        assert (await board.get("/health")).status_code == 503  # there is no database


@pytest.mark.parametrize(
    ("address", "status"), [("https://board.example", 403), ("http://127.0.0.1:8300", 200)]
)
async def test_it_is_closed_where_its_address_is_one_that_others_use(
    address: str, status: int
) -> None:
    async with browsing(an_app(login=LoginConfig(address=address))) as board:
        assert (await board.get("/who")).status_code == status
