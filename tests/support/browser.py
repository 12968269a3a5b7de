"""A real headless browser, Debian's Chromium."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from tests.support.needed import need

CHROMIUM = Path("/usr/bin/chromium")


@asynccontextmanager
async def browser_page(**given: Any) -> AsyncIterator[Page]:
    """A page of a browser without a history; `given` are options of Playwright's contexts."""
    need(CHROMIUM.exists(), "Debian's package chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"]
        )
        try:
            yield await (await browser.new_context(**given)).new_page()
        finally:
            await browser.close()
