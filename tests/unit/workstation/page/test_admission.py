"""Who may use the local page: its own browser, and nobody who only knows its port."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from workstation.journal.journal import SessionJournal
from workstation.page.admission import Admission
from workstation.page.app import create_app
from workstation.page.state import PageState
from workstation.places import Places

PORT = 40123
HERE = f"http://127.0.0.1:{PORT}"


@pytest.fixture
def ended() -> list[str]:
    return []


@pytest.fixture
async def browser(tmp_path: Path, ended: list[str]) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that has not opened the page yet; `first` is the address that it is to open."""
    places = Places(tmp_path / "state")
    admission = Admission(PORT)
    with SessionJournal(places.journal) as journal:
        state = PageState(places, journal, "https://museum.example", "1.2.3")
        app = create_app(state, admission, lambda: ended.append("ended"))
        transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=HERE) as client:
            client.first = admission.first_address  # type: ignore[attr-defined]
            yield client


@pytest.fixture
async def admitted(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    """A browser that has opened the page."""
    assert (await browser.get(browser.first)).status_code == 303  # type: ignore[attr-defined]
    return browser


async def form_token(browser: httpx.AsyncClient) -> str:
    found = re.search('name="form_token" value="([^"]+)"', (await browser.get("/login")).text)
    assert found
    return found[1]


async def test_without_the_first_address_nothing_is_shown(browser: httpx.AsyncClient) -> None:
    for path in ("/", "/login", "/sessions", "/pictures/1/0", "/static/page.css", "/no/such"):
        assert (await browser.get(path)).status_code == 403, path
    assert (await browser.get("/open")).status_code == 403
    assert (await browser.get("/open?token=guessed")).status_code == 403
    assert (await browser.get("/open?token=%F0%9F%8C%BF")).status_code == 403
    assert not browser.cookies


async def test_the_first_address_gives_a_cookie_that_no_script_and_no_other_site_has(
    browser: httpx.AsyncClient,
) -> None:
    answer = await browser.get(browser.first)  # type: ignore[attr-defined]
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert answer.headers["location"] == "/"
    assert browser.first.partition("token=")[2] not in cookie  # type: ignore[attr-defined]
    assert (await browser.get("/login")).status_code == 200


async def test_a_foreign_name_that_points_here_reads_nothing(admitted: httpx.AsyncClient) -> None:
    for host in ("evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", "", "["):
        answer = await admitted.get("/login", headers={"Host": host})
        assert answer.status_code == 421, host
        assert "form_token" not in answer.text
        first = admitted.first  # type: ignore[attr-defined]
        assert (await admitted.get(first, headers={"Host": host})).status_code == 421
    assert (await admitted.get("/login", headers={"Host": f"LOCALHOST:{PORT}"})).status_code == 200


async def test_nothing_is_changed_without_the_token_of_a_form(
    admitted: httpx.AsyncClient, ended: list[str]
) -> None:
    for data in ({}, {"form_token": "guessed"}, {"form_token": "ø"}):
        assert (await admitted.post("/quit", data=data)).status_code in (403, 411)
    assert ended == []
    token = await form_token(admitted)
    assert (await admitted.post("/quit", data={"form_token": token})).status_code == 200
    assert ended == ["ended"]


async def test_a_form_of_another_site_is_refused_even_with_the_token(
    admitted: httpx.AsyncClient, ended: list[str]
) -> None:
    data = {"form_token": await form_token(admitted)}
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{PORT + 1}"},
    ):
        answer = await admitted.post("/quit", data=data, headers=headers)
        assert answer.status_code == 403, headers
    assert ended == []
    here = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    assert (await admitted.post("/quit", data=data, headers=here)).status_code == 200


async def test_every_post_is_checked(admitted: httpx.AsyncClient) -> None:
    paths = [
        "/login", "/log-out", "/folder", "/look", "/choices", "/check", "/stop", "/answer",
        "/again", "/quit",
    ]  # fmt: skip
    assert {path: (await admitted.post(path, data={"a": "b"})).status_code for path in paths} == {
        path: 403 for path in paths
    }


async def test_a_form_that_is_too_long_is_not_read(admitted: httpx.AsyncClient) -> None:
    data = {"form_token": await form_token(admitted), "name": "x" * 200_000}
    assert (await admitted.post("/login", data=data)).status_code == 413


async def test_no_other_site_may_read_or_embed_an_answer(admitted: httpx.AsyncClient) -> None:
    for path in ("/login", "/static/page.css", "/no/such"):
        headers = (await admitted.get(path, headers={"Origin": "https://evil.example"})).headers
        assert not [name for name in headers if name.startswith("access-control")]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"


async def test_steps_that_need_a_login_lead_to_it(admitted: httpx.AsyncClient) -> None:
    for path in ("/", "/folder", "/look", "/choices", "/check", "/sessions"):
        answer = await admitted.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login"), path


async def test_a_password_that_was_refused_is_nowhere_in_the_answer(
    admitted: httpx.AsyncClient,
) -> None:
    data = {
        "form_token": await form_token(admitted), "address": "http://not.safe.example",
        "name": "Åse", "password": "hemmelig ærlig",
    }  # fmt: skip
    answer = await admitted.post("/login", data=data)
    assert answer.status_code == 422
    assert "write https://" in answer.text and 'value="Åse"' in answer.text
    assert "hemmelig" not in answer.text
