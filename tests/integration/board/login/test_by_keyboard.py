"""Logging in and out in a real browser, by keyboard alone."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page

from tests.support.board import PASSWORD, board_app, login_config
from tests.support.browser import opened
from tests.support.serving import free_port, serving

pytestmark = pytest.mark.asyncio(loop_scope="session")

PHONE = {"width": 360, "height": 700}


async def tab_to(page: Page, what: str) -> None:
    """Press Tab until the element has the focus, which is then to be seen."""
    for _ in range(30):
        await page.keyboard.press("Tab")
        found = page.locator(f"{what}:focus-visible")
        if await found.count():
            style = await found.evaluate("e => getComputedStyle(e).outlineStyle")
            assert style == "solid"
            return
    raise AssertionError(f"Tab never comes to {what}")


async def complaints(page: Page) -> list[Any]:
    """What an accessibility check has against the page."""
    found = await Axe().run(page)
    return [each["id"] for each in found.response["violations"]]


async def test_one_logs_in_sees_the_role_and_logs_out_by_keyboard_alone(
    browser: Browser,
    tmp_path: Path,
) -> None:
    app = board_app(login=login_config(tmp_path))
    async with (
        serving(app, free_port()) as address,
        opened(browser, address, scheme="dark", size=PHONE) as page,
    ):
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        await page.goto(f"{address}/login?next=/no/such")
        assert await page.locator("#name:focus").count() == 1
        assert await complaints(page) == []
        await page.keyboard.type("Anna")
        await page.keyboard.press("Tab")
        await page.keyboard.type("wrong")
        await page.keyboard.press("Enter")
        await page.get_by_role("alert").get_by_text("password is wrong").wait_for()
        assert await complaints(page) == []
        assert await page.locator("#password:focus").count() == 1
        await page.keyboard.type(PASSWORD)
        await page.keyboard.press("Enter")
        await page.get_by_text("(operator)").wait_for()
        assert page.url == f"{address}/no/such"
        assert await complaints(page) == []
        await tab_to(page, "form[action='/logout'] button")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{address}/login")
        assert await page.get_by_text("(operator)").count() == 0
        wide = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert await page.evaluate(wide)
        assert not [text for text in said if "403" not in text and "404" not in text], said
