"""Find and one specimen as a browser shows them: light and dark, wide and narrow, by keyboard."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.support.browser import (
    LOOKS,
    no_serious_findings,
    opened,
    served_board,
    tabbed,
)
from tests.support.drawn_sheet import drawn
from tests.support.looked_at import SHEET, LookedAt
from track.schema.database import make_engine

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def base(
    modules_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """The address of a board with four specimens."""
    sample = os.environ.get("REFINERY_SHOWN_SPECIMEN")
    folder = tmp_path_factory.mktemp("seen")
    engine = make_engine(modules_database)
    image = Path(sample) if sample else drawn()
    async with LookedAt.open(engine, modules_database, folder, image) as seen:
        with served_board(modules_database, **seen.board) as address:
            yield address
    await engine.dispose()


@pytest.mark.parametrize(("scheme", "size"), LOOKS)
async def test_each_page_can_be_read_by_all(
    browser: Browser,
    base: str,
    scheme: str,
    size: dict[str, int],
) -> None:
    async with opened(browser, base, scheme=scheme, size=size) as page:
        for name, path in (
            ("find", "/find"),
            ("find-table", "/find?view=table&state=person"),
            ("find-fault", "/find?came_from=28.11.2026&number=1"),
            ("specimen", f"/specimens/{SHEET.replace('%', '%25')}"),
            ("none", "/specimens/nobody"),
        ):
            await page.goto(path, wait_until="networkidle")
            for details in await page.locator("details").all():
                await details.evaluate("each => each.open = true")
            await no_serious_findings(page)
            if shots := os.environ.get("REFINERY_SHOTS"):
                file = f"{shots}/h2-{name}-{scheme}-{size['width']}.png"
                await page.screenshot(path=file, full_page=True)


async def test_a_specimen_is_found_and_opened_by_the_keyboard_alone(
    browser: Browser,
    base: str,
) -> None:
    async with opened(browser, base) as page:
        await page.goto("/find")
        await page.locator("#q").focus()
        await page.keyboard.type("450444")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_have_text("1 specimen")
        reached = await tabbed(page)
        assert any("NHMD-450444" in text for text in reached), reached
        await page.get_by_role("link", name="NHMD-450444").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text("NHMD-450444")
        image = page.locator("figure image")
        drawn = await image.evaluate(
            "async each => { const i = new Image(); i.src = each.href.baseVal;"
            " await i.decode(); return i.naturalHeight; }"
        )
        assert drawn == 1200
