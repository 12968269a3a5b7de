"""Sessions and what needs a person in a real browser: every look, by keyboard alone, axe."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from board.app import create_app
from board.visitors import Role, Visitor, visitor_of
from tests.support.board import board_config
from tests.support.browser import (  # noqa: F401
    LOOKS,
    browser,
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
async def address(troubled_database: TroubledDatabase) -> AsyncIterator[str]:
    app = create_app(board_config(troubled_database.url))
    app.dependency_overrides[visitor_of] = lambda: Visitor("ib", Role.OPERATOR)
    with served(app, free_port(), timeout_graceful_shutdown=1) as found:
        yield found


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_every_page_is_sound_in_every_look(
    browser: Browser,  # noqa: F811
    address: str,
    troubled_database: TroubledDatabase,
    scheme: str,
    size: Any,
) -> None:
    one = f"/sessions/{troubled_database.session_id}"
    pages = {"sessions": "/sessions", "session": one, "attention": "/attention"}
    look = f"{scheme}-{'phone' if size['width'] < 500 else 'desktop'}"
    async with opened(browser, address, scheme=scheme, size=size) as page:
        for name, path in pages.items():
            answer = await page.goto(path)
            assert answer is not None and answer.ok
            await shoot(page, f"h3-{name}-{look}")
            await no_serious_findings(page)
        await page.locator(".cause h2 a").first.click()
        await page.wait_for_load_state()
        await shoot(page, f"h3-cause-{look}")
        await no_serious_findings(page)


async def test_from_the_list_to_a_specimens_verb_by_keyboard_alone(
    browser: Browser,  # noqa: F811
    address: str,
) -> None:
    async with opened(browser, address) as page:
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
