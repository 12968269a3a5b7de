"""Logging in by name and password, what the cookie is worth, and how it ends."""

import base64
import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from itsdangerous import timed

from blocks.access.signing_in import ACCOUNT_BURST
from blocks.access.users import Role, UsersFile
from board.login import sessions
from tests.support.board import (
    PASSWORD,
    QUICK,
    board_app,
    browsing,
    csrf_in,
    log_in,
    login_config,
    with_probes,
)
from tests.support.patching import seen_by


def an_app(folder: Path, **given: Any) -> FastAPI:
    return with_probes(board_app(login=login_config(folder, **given)))


@pytest.fixture
def users(tmp_path: Path) -> UsersFile:
    return UsersFile(tmp_path / "users.toml")


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with browsing(an_app(tmp_path)) as client:
        yield client


async def act(board: httpx.AsyncClient) -> httpx.Response:
    return await board.post("/act", data={"csrf": csrf_in(await board.get("/no/such"))})


async def test_a_stranger_is_led_to_the_form_and_from_it_where_they_wanted_to_go(
    board: httpx.AsyncClient,
) -> None:
    asked = await board.get("/who", params={"q": "a&b"})
    assert (asked.status_code, asked.headers["location"]) == (
        303,
        "/login?next=%2Fwho%3Fq%3Da%2526b",
    )
    form = await board.get(asked.headers["location"])
    assert 'name="next" value="/who?q=a%26b"' in form.text
    answer = await log_in(board, "Anna", next="/who?q=a%26b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/who?q=a%26b")
    assert (await board.get("/who")).json() == {"name": "anna", "role": "operator"}
    assert (await board.get("/login?next=/find")).headers["location"] == "/find"


async def test_a_program_is_told_to_log_in(board: httpx.AsyncClient) -> None:
    answer = await board.get("/who", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()) == (401, {"error": "log in first, at /login"})


async def test_machines_and_the_look_of_the_form_need_no_login(board: httpx.AsyncClient) -> None:
    assert (await board.get("/health")).status_code in (200, 503)
    assert (await board.get("/static/board.css")).status_code == 200


async def test_every_wrong_login_gets_the_same_page(board: httpx.AsyncClient) -> None:
    pages = []
    for name in ("anna", "none"):
        answer = await log_in(board, name, "wrong")
        assert answer.status_code == 403
        pages.append(answer.text.replace(f'value="{name}"', "").replace(csrf_in(answer), ""))
    assert pages[0] == pages[1] and "The name or the password is wrong." in pages[0]
    assert "wrong" not in pages[0].replace("is wrong", "")
    assert (await board.get("/who")).status_code == 303


async def test_what_was_typed_is_shown_as_text(board: httpx.AsyncClient) -> None:
    answer = await log_in(board, '"><script>alert(1)</script>', "wrong")
    assert "<script>alert" not in answer.text and "&lt;script&gt;" in answer.text


async def test_too_many_wrong_logins_have_to_wait_and_the_page_says_how_long(
    board: httpx.AsyncClient,
) -> None:
    for _ in range(ACCOUNT_BURST):
        assert (await log_in(board, "anna", "wrong")).status_code == 403
    answer = await log_in(board, "anna")
    assert answer.status_code == 429
    assert 25 < int(answer.headers["retry-after"]) <= 30
    assert f"Wait {answer.headers['retry-after']} seconds" in answer.text
    assert (await log_in(board, "bo")).status_code == 303


async def test_addresses_are_those_that_trusted_proxies_name(tmp_path: Path) -> None:
    from ipaddress import ip_network

    config = login_config(tmp_path, trusted_proxies=(ip_network("192.0.2.1"),))
    app = board_app(login=config)
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("blocks.access.signing_in").addHandler(handler)
    try:
        for peer in ("192.0.2.1", "192.0.2.9"):
            async with browsing(app, peer=peer) as board:
                board.headers["X-Forwarded-For"] = "10.9.9.9"
                await log_in(board, "anna", "wrong")
    finally:
        logging.getLogger("blocks.access.signing_in").removeHandler(handler)
    assert [line.split(":")[1].strip() for line in records] == [
        "'anna' from 10.9.9.9",
        "'anna' from 192.0.2.9",
    ]


async def test_a_reader_may_look_and_not_act_and_is_told_whom_to_ask(
    board: httpx.AsyncClient,
) -> None:
    await log_in(board, "bo")
    assert (await board.get("/who")).json() == {"name": "bo", "role": "reader"}
    answer = await act(board)
    assert (answer.status_code, "Only an operator may do this: ask anna." in answer.text) == (
        403,
        True,
    )


async def test_an_operator_acts_under_the_name_of_the_login(board: httpx.AsyncClient) -> None:
    await log_in(board, "anna")
    assert (await act(board)).json() == {"by": "anna"}


async def test_a_stranger_who_acts_is_led_to_the_form(board: httpx.AsyncClient) -> None:
    token = csrf_in(await board.get("/login"))
    answer = await board.post("/act", data={"csrf": token})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


async def test_who_is_removed_or_demoted_loses_it_at_once(
    board: httpx.AsyncClient, users: UsersFile
) -> None:
    await log_in(board, "anna")
    users.change("anna", lambda anna: anna.model_copy(update={"role": Role.READER}))
    assert (await act(board)).status_code == 403
    users.change("anna", lambda anna: anna.model_copy(update={"disabled": True}))
    assert (await board.get("/who")).status_code == 303
    users.change("anna", lambda anna: anna.model_copy(update={"disabled": False}))
    assert (await board.get("/who")).status_code == 200
    users.remove("anna")
    assert (await board.get("/who")).status_code == 303


async def test_a_new_password_ends_older_logins(board: httpx.AsyncClient, users: UsersFile) -> None:
    await log_in(board, "anna")
    new = QUICK.hash("another password")
    users.change("anna", lambda anna: anna.model_copy(update={"password": new}))
    assert (await board.get("/who")).status_code == 303


async def test_logging_out_ends_it(board: httpx.AsyncClient) -> None:
    await log_in(board, "anna")
    page = await board.get("/no/such")
    assert "anna" in page.text and "(operator)" in page.text
    answer = await board.post("/logout", data={"csrf": csrf_in(page)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert (await board.get("/who")).status_code == 303
    assert (await board.get("/logout")).status_code == 405


@pytest.mark.parametrize("module", [timed, sessions], ids=["of the cookie", "of the login"])
async def test_a_login_ends_after_its_hours_by_either_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType
) -> None:
    async with browsing(an_app(tmp_path, hours=2)) as board:
        await log_in(board, "anna")
        began = time.time()
        for hours, status in ((1.9, 200), (2.1, 303)):
            with monkeypatch.context() as patch:
                seen_by(patch, module, "time", time=lambda hours=hours: began + hours * 3600)
                assert (await board.get("/who")).status_code == status


async def test_a_page_that_is_looked_at_makes_a_login_no_longer(tmp_path: Path) -> None:
    async with browsing(an_app(tmp_path)) as board:
        await log_in(board, "anna")
        assert "set-cookie" not in (await board.get("/who")).headers


async def test_the_session_is_made_anew_at_login(board: httpx.AsyncClient) -> None:
    token = csrf_in(await board.get("/login"))
    planted = dict(board.cookies)
    await log_in(board, "anna")
    assert csrf_in(await board.get("/no/such")) != token
    assert dict(board.cookies) != planted
    board.cookies.clear()
    board.cookies.update(planted)
    assert (await board.get("/who")).status_code == 303


async def test_a_cookie_that_somebody_wrote_is_worth_nothing(board: httpx.AsyncClient) -> None:
    await log_in(board, "bo")
    ((name, value),) = board.cookies.items()
    content, _, signature = value.partition(".")
    session = json.loads(base64.b64decode(content))
    session["login"] |= {"name": "anna", "source": "oidc", "role": "operator"}
    forged = base64.b64encode(json.dumps(session).encode()).decode()
    board.cookies.clear()
    board.cookies.set(name, f"{forged}.{signature}")
    assert (await board.get("/who")).status_code == 303


@pytest.mark.parametrize(
    ("address", "flags"),
    [
        ("", {"httponly", "samesite=lax", "path=/"}),
        ("https://board.example", {"httponly", "samesite=lax", "secure", "path=/"}),
    ],
)
async def test_the_cookie_is_kept_from_scripts_and_other_sites(
    tmp_path: Path, address: str, flags: set[str]
) -> None:
    async with browsing(an_app(tmp_path, address=address)) as board:
        cookie = (await board.get("/login")).headers["set-cookie"].lower()
    given = {part.strip() for part in cookie.split(";")[1:]}
    assert {part for part in given if not part.startswith("max-age")} == flags
    assert cookie.startswith("__host-board-" if address else "board-")
    assert "max-age=43200" in given


async def test_a_broken_file_lets_nobody_in_and_is_told_once_in_the_log(
    board: httpx.AsyncClient, users: UsersFile, caplog: pytest.LogCaptureFixture
) -> None:
    await log_in(board, "anna")
    users.path.write_text("[[user")
    for path in ("/who", "/login", "/login"):
        answer = await board.get(path)
        assert answer.status_code == 503 and "refinery doctor" in answer.text
        assert str(users.path) not in answer.text
    assert [
        m for m in caplog.messages if "every login is refused" in m and str(users.path) in m
    ] == [caplog.messages[-1]]
    users.path.unlink()
    login_config(users.path.parent)
    assert (await log_in(board, "anna")).status_code == 303


async def test_a_password_is_in_no_page_no_cookie_and_no_log(
    board: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = await log_in(board, "anna", PASSWORD + "!")
    await log_in(board, "anna")
    assert PASSWORD not in answer.text + caplog.text + repr(dict(board.cookies))
