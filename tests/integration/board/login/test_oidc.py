"""Logging in at a provider, which answers over real sockets, and everything that is no login."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import OctKey, RSAKey

from board.login import sessions
from board.login.config import OidcConfig
from tests.support.board import board_app, browsing, csrf_in, log_in, login_config, with_probes
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, SmallProvider
from tests.support.patching import seen_by
from tests.support.serving import free_port, served

BOARD = "http://127.0.0.1:8300"


@pytest.fixture(scope="module")
def running() -> Iterator[SmallProvider]:
    port = free_port()
    provider = SmallProvider(f"http://127.0.0.1:{port}")
    with served(provider.app, port):
        yield provider


@pytest.fixture
def provider(running: SmallProvider) -> Iterator[SmallProvider]:
    """The provider, which vouches for what a test likes."""
    usual = dict(vars(running))
    usual |= {"claims": dict(running.claims), "header": dict(running.header)}
    yield running
    vars(running).update(usual)


def an_app(provider: SmallProvider, folder: Path, **given: Any) -> FastAPI:
    usual = {"operators": ("curators",), "readers": ("staff",)}
    oidc = OidcConfig(provider.issuer, CLIENT_ID, CLIENT_SECRET, **(usual | given))
    return with_probes(board_app(login=login_config(folder, address=BOARD, oidc=oidc)))


@pytest.fixture
async def board(provider: SmallProvider, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with browsing(an_app(provider, tmp_path), BOARD) as client:
        yield client


async def there(board: httpx.AsyncClient, next: str = "/who") -> str:
    """Go to the provider; the address that it sends the browser back to."""
    away = await board.get("/login/oidc", params={"next": next})
    assert away.status_code == 302, away.text
    async with httpx.AsyncClient(trust_env=False) as outside:
        return (await outside.get(away.headers["location"])).headers["location"]


async def come_back(board: httpx.AsyncClient) -> httpx.Response:
    return await board.get(await there(board))


async def test_whoever_the_provider_vouches_for_is_let_in_where_they_wanted_to_go(
    board: httpx.AsyncClient,
) -> None:
    assert (await board.get("/who")).headers["location"] == "/login?next=%2Fwho"
    assert "Log in with your work account" in (await board.get("/login?next=%2Fwho")).text
    back = await come_back(board)
    assert (back.status_code, back.headers["location"]) == (303, "/who")
    assert (await board.get("/who")).json() == {"name": "Åse", "role": "operator"}


async def test_a_login_at_the_provider_ends_as_any_other(board: httpx.AsyncClient) -> None:
    await come_back(board)
    page = await board.get("/no/such")
    assert "Åse" in page.text and "(operator)" in page.text
    assert (await board.post("/logout", data={"csrf": csrf_in(page)})).status_code == 303
    assert (await board.get("/who")).status_code == 303


@pytest.mark.parametrize(
    ("given", "claims", "role"),
    [
        ({}, {"roles": ["staff", "x"]}, "reader"),
        ({}, {"roles": "staff"}, "reader"),
        ({}, {"roles": ["staff", "curators"]}, "operator"),
        ({"readers": ("*",)}, {"roles": None}, "reader"),
        ({"role_claim": "realm_access.roles"}, {"realm_access": {"roles": ["staff"]}}, "reader"),
        ({"role_claim": "https://m.example/r"}, {"https://m.example/r": ["curators"]}, "operator"),
    ],
)
async def test_the_role_is_that_of_a_claim(
    provider: SmallProvider, tmp_path: Path, given: dict[str, Any], claims: Any, role: str
) -> None:
    provider.claims |= claims
    async with browsing(an_app(provider, tmp_path, **given), BOARD) as board:
        await come_back(board)
        assert (await board.get("/who")).json()["role"] == role


@pytest.mark.parametrize("roles", [None, [], ["others"], "Curators", {"curators": 1}, "*"])
async def test_without_a_role_nobody_is_let_in_and_is_told_whom_to_ask(
    provider: SmallProvider, board: httpx.AsyncClient, roles: Any
) -> None:
    provider.claims["roles"] = roles
    back = await come_back(board)
    assert back.status_code == 403
    assert "The provider knows you as Åse" in back.text and "ask who keeps the board" in back.text
    assert (await board.get("/who")).status_code == 303


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"}, {"nonce": None}, {"iss": "https://evil.example"}, {"iss": None},
        {"aud": "another"}, {"aud": None}, {"aud": ["board", "another"], "azp": "another"},
        {"aud": "another", "azp": "board"},
        {"exp": int(time.time()) - 3600}, {"exp": None}, {"sub": None},
        {"preferred_username": " \u202e"}, {"preferred_username": None},
        {"preferred_username": None, "email": "a@b.example", "email_verified": False},
    ],
)  # fmt: skip
async def test_a_token_that_is_not_for_this_login_proves_nothing(
    provider: SmallProvider, board: httpx.AsyncClient, claims: dict[str, Any]
) -> None:
    provider.claims |= claims
    back = await come_back(board)
    assert (back.status_code, "was not finished" in back.text) == (403, True)
    assert (await board.get("/who")).status_code == 303


async def test_a_token_signed_by_nobody_or_by_another_proves_nothing(
    provider: SmallProvider, board: httpx.AsyncClient
) -> None:
    secret = OctKey.import_key(CLIENT_SECRET, {"kid": "one"})
    for algorithm, key in (
        ("RS256", RSAKey.generate_key(2048, {"kid": "one"})), ("HS256", secret), ("none", secret),
    ):  # fmt: skip
        provider.header["alg"], provider.signing = algorithm, key
        assert (await come_back(board)).status_code == 403, algorithm
    assert (await board.get("/who")).status_code == 303


async def test_an_answer_without_a_token_proves_nothing(
    provider: SmallProvider, board: httpx.AsyncClient
) -> None:
    provider.without_token = True
    assert (await come_back(board)).status_code == 403


async def test_a_way_back_that_another_browser_began_is_refused(
    provider: SmallProvider, tmp_path: Path
) -> None:
    app = an_app(provider, tmp_path)
    async with browsing(app, BOARD) as mine, browsing(app, BOARD) as theirs:
        assert (await mine.get(await there(theirs))).status_code == 403
        await there(mine)
        assert (await mine.get(await there(theirs))).status_code == 403
        assert (await mine.get("/who")).status_code == 303


async def test_a_way_back_is_good_once(board: httpx.AsyncClient) -> None:
    back = await there(board)
    assert (await board.get(back)).status_code == 303
    assert (await board.get(back)).status_code == 403


@pytest.mark.parametrize("query", ["", "?code=x", "?code=x&state=y", "?error=access_denied"])
async def test_a_way_back_that_nobody_began_is_refused(
    board: httpx.AsyncClient, query: str
) -> None:
    back = await board.get(f"/login/oidc/callback{query}")
    assert (back.status_code, "try again" in back.text) == (403, True)


async def test_it_leads_to_no_other_site(board: httpx.AsyncClient) -> None:
    back = await board.get(await there(board, next="//evil.example/"))
    assert back.headers["location"] == "/today"


async def test_the_session_is_made_anew(board: httpx.AsyncClient) -> None:
    before = csrf_in(await board.get("/login"))
    await come_back(board)
    assert csrf_in(await board.get("/no/such")) != before


async def test_what_the_provider_is_asked_names_the_boards_own_address(
    board: httpx.AsyncClient,
) -> None:
    away = await board.get("/login/oidc", headers={"Host": "evil.example"})
    asked = parse_qs(urlsplit(away.headers["location"]).query)
    assert asked["redirect_uri"] == [f"{BOARD}/login/oidc/callback"]


async def test_while_the_provider_is_away_a_local_login_still_works(
    provider: SmallProvider, board: httpx.AsyncClient
) -> None:
    provider.broken = True
    away = await board.get("/login/oidc")
    assert away.status_code == 503
    assert "The provider cannot be reached" in away.text and 'name="password"' in away.text
    assert (await log_in(board, "anna")).status_code == 303
    assert (await board.get("/who")).json()["name"] == "anna"


async def test_a_provider_that_goes_away_between_is_told_of_too(
    provider: SmallProvider, board: httpx.AsyncClient
) -> None:
    back = await there(board)
    provider.broken = True
    assert (await board.get(back)).status_code == 503


async def test_one_who_says_that_it_is_another_is_not_believed(
    provider: SmallProvider, board: httpx.AsyncClient
) -> None:
    provider.issuer = "https://evil.example"
    assert (await board.get("/login/oidc")).status_code == 503


async def test_a_login_ends_after_its_hours_though_the_cookie_was_written_again(
    board: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await come_back(board)
    began = time.time()
    for hours, status in ((11.9, 200), (12.1, 303)):
        seen_by(monkeypatch, sessions, "time", time=lambda hours=hours: began + hours * 3600)
        assert (await board.get("/who")).status_code == status
        assert "set-cookie" in (await board.get("/login/oidc")).headers


async def test_nobody_is_taken_for_a_local_user_of_the_same_name(
    provider: SmallProvider, board: httpx.AsyncClient
) -> None:
    provider.claims["preferred_username"] = "Anna"
    await come_back(board)
    assert (await board.get("/who")).json()["name"] == "Anna (oidc)"


async def test_a_login_ends_with_the_provider(provider: SmallProvider, tmp_path: Path) -> None:
    async with browsing(an_app(provider, tmp_path), BOARD) as board:
        await come_back(board)
        kept = dict(board.cookies)
    (tmp_path / "users.toml").unlink()
    config = login_config(tmp_path, address=BOARD)
    async with browsing(board_app(login=config), BOARD) as board:
        board.cookies.update(kept)
        assert (await board.get("/")).status_code == 303
        assert (await board.get("/login/oidc")).status_code == 404
