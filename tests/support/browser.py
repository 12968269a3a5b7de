"""A real headless browser for tests of pages: Debian's Chromium, driven by Playwright.

One browser serves all tests of a worker, each test in a context of its own: a folder's conftest.py
imports the fixture `browser`. It lives in a loop of the session, so a module of its tests says

    pytestmark = pytest.mark.asyncio(loop_scope="session")

and gives fixtures of its own that are awaited the same scope of loop
(`@pytest_asyncio.fixture(loop_scope="session")`). The board is served from a thread.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

from board.app import create_app
from tests.support.board import board_config
from tests.support.needed import need
from tests.support.serving import free_port, served

CHROMIUM = Path("/usr/bin/chromium")
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
LOOKS = [
    pytest.param(scheme, size, id=f"{scheme}-{name}")
    for scheme in ("light", "dark")
    for name, size in (("desktop", DESKTOP), ("phone", PHONE))
]
"""For `@pytest.mark.parametrize(("scheme", "size"), LOOKS)`."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests of this process."""
    need(CHROMIUM.exists(), "install Debian's package chromium")
    async with async_playwright() as playwright:
        made = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        await made.close()


@asynccontextmanager
async def opened(
    browser: Browser, base: str, *, scheme: str = "light", size: Any = None, **options: Any
) -> AsyncIterator[Page]:
    """A page in a context of its own that fails on errors of its scripts and on foreign hosts."""
    context = await browser.new_context(
        base_url=base, color_scheme=scheme, viewport=size or DESKTOP, locale="en-GB", **options
    )
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request",
        lambda asked: None if asked.url.startswith((base, "data:")) else faults.append(asked.url),
    )
    page.on(
        "console",
        lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None,
    )
    try:
        yield page
        assert faults == []
    finally:
        await context.close()


@contextmanager
def served_board(database_url: str, **given: Any) -> Iterator[str]:
    """The board over real HTTP on a database; its address. `given` are fields of its config."""
    app = create_app(board_config(database_url, **given))
    with served(app, free_port(), timeout_graceful_shutdown=1) as address:
        yield address


async def no_serious_findings(page: Page) -> None:
    """Fail on what axe calls serious or critical, and where a page is wider than its window."""
    found = [
        f"{each['impact']}: {each['id']} {[node['target'] for node in each['nodes']][:5]}"
        for each in (await Axe().run(page)).response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    wider = await page.evaluate("document.documentElement.scrollWidth > innerWidth + 1")
    assert found == []
    assert not wider, "it has to be scrolled sideways"


async def tabbed(page: Page, most: int = 60) -> list[str]:
    """The texts of what the Tab key reaches one after another, from the top of the page."""
    seen = []
    for _ in range(most):
        await page.keyboard.press("Tab")
        text = await page.evaluate(
            "() => { const e = document.activeElement; return e === document.body ? '' :"
            " (e.getAttribute('aria-label') || e.textContent || e.name || e.id).trim(); }"
        )
        if not text:
            break
        seen.append(" ".join(text.split()))
    return seen
