"""Sessions and what needs a person in a real browser: every look, by keyboard alone, axe."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from board.acting.prefect import VerbsKept
from board.app import create_app
from board.context import Board
from board.pages.acting import RunsEnded
from flows import operate
from tasks.upkeep.verb_runs import VerbRun
from tasks.upkeep.verbs import VerbResult, verb_of
from tests.support.board import board_config, log_in, login_config
from tests.support.browser import (
    LOOKS,
    no_serious_findings,
    opened,
    tabbed,
)
from tests.support.serving import free_port, served
from tests.support.troubled import TroubledDatabase

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOTS = os.environ.get("REFINERY_SHOTS", "")
"""A folder for pictures of the pages, to look at."""


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def address(
    troubled_database: TroubledDatabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    login = login_config(tmp_path_factory.mktemp("login"))
    app = create_app(board_config(troubled_database.url, login=login))
    with served(app, free_port(), timeout_graceful_shutdown=1) as found:
        board: Board = app.state.board
        know_verbs(board)
        board.keep(RunsEnded).put(RUN, RESULT)
        yield found


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def signed_in(address: str) -> dict[str, Any]:
    """What a browser keeps that `anna`, an operator, has logged in with."""
    async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
        await log_in(client, "anna")
        cookies = [
            {"name": n, "value": v, "domain": "127.0.0.1", "path": "/"}
            for n, v in client.cookies.items()
        ]
    return {"cookies": cookies}


RUN = VerbRun(
    uuid4(), "resubmit", "ib", datetime.now(UTC), "Completed",
    {"by": "ib", "pipeline": "PIPEHERB0001", "stage": "create"},
)  # fmt: skip
RESULT = VerbResult(
    RUN.id, "Completed", "resubmit: 2 changed, 0 left as they were", ended=True, done=True,
    rows=tuple({"what": f"NHMD-{n}", "stage": "create", "was": "failed", "now": "ready", "note": ""}
               for n in range(2)),
)  # fmt: skip


def know_verbs(board: Board) -> None:
    """Let the board know the verbs as if Prefect, which is away, had told it a moment ago."""
    flows = (operate.resubmit, operate.skip, operate.switch, operate.agent)
    board.keep(VerbsKept).know(
        verb_of(
            flow.fn.__name__, flow.description or "", flow.parameters.model_dump(exclude_none=True)
        )
        for flow in flows
    )


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_every_page_is_sound_in_every_look(
    browser: Browser,
    address: str,
    signed_in: dict[str, Any],
    troubled_database: TroubledDatabase,
    scheme: str,
    size: Any,
) -> None:
    one = f"/sessions/{troubled_database.session_id}"
    pages = {
        "sessions": "/sessions",
        "session": one,
        "attention": "/attention",
        "verbs": "/act",
        "verb": "/act/resubmit?pipeline=PIPEHERB0001&stage=create",
        "verb-wrong": "/act/agent?agent=one&order=stopp&hours=3",
        "run": f"/act/runs/{RUN.id}",
    }
    look = f"{scheme}-{'phone' if size['width'] < 500 else 'desktop'}"
    async with opened(browser, address, scheme=scheme, size=size, storage_state=signed_in) as page:
        for name, path in pages.items():
            answer = await page.goto(path)
            assert answer is not None and answer.ok
            await shoot(page, f"h3-{name}-{look}")
            await no_serious_findings(page)
        await page.goto("/attention")
        await page.locator(".cause h2 a").first.click()
        await page.wait_for_load_state()
        await shoot(page, f"h3-cause-{look}")
        await no_serious_findings(page)


async def test_from_the_list_to_a_specimens_verb_by_keyboard_alone(
    browser: Browser,
    address: str,
    signed_in: dict[str, Any],
) -> None:
    async with opened(browser, address, storage_state=signed_in) as page:
        await page.goto("/sessions")
        assert (await tabbed(page))[0] == "Skip to the content"
        await page.get_by_label("State").focus()
        await page.keyboard.type("needs")
        await page.get_by_role("button", name="Show").focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**state=needs+a+person*")
        await page.get_by_role("link", name="2026-11-28_15-53-19", exact=True).focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/sessions/*-*")
        await page.get_by_role("link", name="Needs a person", exact=True).focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/attention")
        reached = await tabbed(page, 80)
        assert "Do all of them again …" in reached and "Switch the stage off meanwhile …" in reached


async def test_by_keyboard_from_a_cause_to_its_form_which_stays_filled_while_prefect_is_away(
    browser: Browser,
    address: str,
    signed_in: dict[str, Any],
) -> None:
    async with opened(browser, address, storage_state=signed_in) as page:
        await page.goto("/attention")
        await page.get_by_role("link", name="Do all of them again …").first.focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/act/resubmit?*")
        assert "Do stage create of 7 specimens of PIPEHERB0001 again" in await page.inner_text(
            "main"
        )
        await page.get_by_label("why").focus()
        await page.keyboard.type("the gateway is back")
        await page.get_by_role("button", name="Do it").focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("alert").get_by_text("Prefect cannot be reached").wait_for()
        assert await page.get_by_label("why").input_value() == "the gateway is back"
        await shoot(page, "h3-verb-away")
        await no_serious_findings(page)


async def test_the_progress_of_a_session_is_sent_to_who_looks(
    browser: Browser,
    address: str,
    signed_in: dict[str, Any],
    troubled_database: TroubledDatabase,
) -> None:
    async with opened(browser, address, storage_state=signed_in) as page:
        live = f"/live/session/{troubled_database.session_id}"
        async with page.expect_response(f"**{live}") as told:
            await page.goto(f"/sessions/{troubled_database.session_id}")
        assert (await told.value).ok
        assert await page.locator(f'section[data-live="{live}"] progress').count() == 1
