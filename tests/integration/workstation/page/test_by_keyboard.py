"""A whole session on the page in a real browser, by keyboard alone, against the real server."""

import hashlib
import os
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.support.browser import DESKTOP, PHONE, no_serious_findings, opened
from tests.support.camera import camera_session
from tests.support.local_page import served_page
from tests.support.workstations import PASSWORD, Station

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOTS = os.environ.get("REFINERY_SHOTS")
"""A folder for pictures of the pages, for people to look at."""


async def seen(page: Page, name: str) -> None:
    """Look at a page, light and dark, wide and narrow, as somebody with weak eyes would."""
    await page.wait_for_load_state("networkidle")
    for scheme, size in (("dark", PHONE), ("light", DESKTOP)):
        await page.emulate_media(color_scheme=scheme)
        await page.set_viewport_size(size)
        await no_serious_findings(page)
        if SHOTS:
            await page.screenshot(path=Path(SHOTS) / f"page-{name}-{scheme}.png", full_page=True)


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is called so has the focus, which is then to be seen."""
    for _ in range(60):
        found = page.locator(":focus-visible")
        if await found.count() and name in await called(page):
            assert await found.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab never comes to {name}")


async def called(page: Page) -> str:
    """What a screen reader calls the element that has the focus."""
    return await page.evaluate(
        "() => { const e = document.activeElement; return e.getAttribute('aria-label') ??"
        " (e.labels?.length ? e.labels[0] : e).textContent; }"
    )


async def press(page: Page, name: str) -> None:
    """Go to a link or a button by Tab, and press it."""
    await tab_to(page, name)
    await page.keyboard.press("Enter")


async def fill(page: Page, name: str, text: str) -> None:
    """Go to a field by Tab, and type into it what is to be there."""
    await tab_to(page, name)
    await page.keyboard.press("Control+A")
    await page.keyboard.type(text)


async def heading(page: Page, text: str) -> None:
    """Wait for the page that says so."""
    await page.get_by_role("heading", name=text).first.wait_for()


async def to_the_images(page: Page, folder: Path) -> None:
    """Log in and choose a folder."""
    await fill(page, "Your name", "Åse")
    await fill(page, "Password", PASSWORD)
    await page.keyboard.press("Enter")
    await heading(page, "Which folder")
    await fill(page, "Folder of the finished session", str(folder))
    await page.keyboard.press("Enter")
    await heading(page, "in the folder")


async def to_the_start(page: Page) -> None:
    """Choose what is offered, and come to what will happen."""
    await press(page, "These are right")
    await heading(page, "What is true of all")
    await fill(page, "Photographed by", "Åse Ø")
    await press(page, "Go on")
    await heading(page, "What will happen")


async def test_a_session_is_sent_by_keyboard_alone(
    browser: Browser, station: Station, tmp_path: Path
) -> None:
    folder = camera_session(tmp_path / "Ærø 21. november", 3)
    images = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.suffix == ".tif"
    }
    raw = hashlib.sha256((folder / "DSCF0001.RAF").read_bytes()).hexdigest()
    with served_page(tmp_path, str(station.http.base_url), gated=True) as local:
        async with opened(browser, local.base) as page:
            await page.goto(local.first)
            await seen(page, "1-login")
            await fill(page, "Your name", "Åse")
            await fill(page, "Password", "wrong")
            await page.keyboard.press("Enter")
            await page.get_by_role("alert").wait_for()
            await seen(page, "1-login-wrong")
            await fill(page, "Password", PASSWORD)
            await page.keyboard.press("Enter")
            await heading(page, "Which folder")
            await seen(page, "2-folder")
            await fill(page, "Folder of the finished session", str(folder))
            await page.keyboard.press("Enter")
            await heading(page, "3 specimens")
            await seen(page, "3-look")
            widths = await page.locator(".tiles img").evaluate_all(
                "all => all.map(e => e.naturalWidth)"
            )
            assert len(widths) == 3 and all(widths)
            await press(page, "These are right")
            await heading(page, "What is true of all")
            await fill(page, "Photographed by", "Åse Ø")
            await seen(page, "4-choices")
            await press(page, "Go on")
            await heading(page, "What will happen")
            await page.get_by_text("3 raw files will not be sent").wait_for()
            await seen(page, "5-check")
            assert sorted(os.listdir(folder))[0] == "DSCF0001.RAF"
            await press(page, "Start")
            await heading(page, "Your session is under way")
            await seen(page, "6-progress")
            local.gate.set()
            await heading(page, "May the raw files be deleted")
            assert len(list(folder.iterdir())) == 9
            await seen(page, "6-question")
            await press(page, "Delete the raw files")
            await heading(page, "Done")
            await page.get_by_text(raw).wait_for()
            await seen(page, "7-report")
            await press(page, "My sessions")
            await heading(page, "My sessions")
            await seen(page, "8-sessions")
            (made,) = [each for each in (station.drive / station.name).iterdir() if each.is_dir()]
            await press(page, made.name)
            await heading(page, f"Session {made.name}")
            await seen(page, "8-session")
            await press(page, "Quit")
            await heading(page, "Quit the program")
            await seen(page, "9-quit")
            await press(page, "Quit now")
            await heading(page, "The program has ended")
            await seen(page, "9-ended")
    assert list(folder.iterdir()) == []
    stored = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in made.iterdir()
        if path.suffix == ".tif"
    }
    assert stored == images


async def test_raws_are_kept_where_nobody_agrees_to_lose_them(
    browser: Browser, station: Station, tmp_path: Path
) -> None:
    folder = camera_session(tmp_path / "session", 2)
    with served_page(tmp_path, str(station.http.base_url)) as local:
        async with opened(browser, local.base) as page:
            await page.goto(local.first)
            await to_the_images(page, folder)
            await to_the_start(page)
            await press(page, "Start")
            await heading(page, "May the raw files be deleted")
            await page.locator(":focus", has_text="Keep the raw files").wait_for()
            await page.keyboard.press("Enter")
            await heading(page, "Done")
            await page.get_by_role("heading", name="2 files kept").wait_for()
            assert {path.suffix for path in folder.iterdir()} == {".raf"}
            await press(page, "Send another folder")
            await heading(page, "Which folder")
            await fill(page, "Folder of the finished session", f'"{folder}"')
            await page.keyboard.press("Enter")
            await heading(page, "0 specimens in the folder")
            await page.get_by_text("A session that has ended left it here").first.wait_for()
    assert len(list(folder.iterdir())) == 2


async def test_choices_are_remembered_and_depend_on_the_collection(
    browser: Browser, station: Station, tmp_path: Path
) -> None:
    values = tmp_path / "workstations.yaml"
    insects = (
        "  - {name: NHMD Entomology, number: 2, institution: NHMD, pipelines: [PIPEPIOF0001],"
        " preparation_types: [pinning, sheet]}\nworkstations:"
    )
    values.write_text(values.read_text("utf-8").replace("workstations:", insects, 1), "utf-8")
    folder = camera_session(tmp_path / "session", 1)
    with served_page(tmp_path, str(station.http.base_url)) as local:
        async with opened(browser, local.base) as page:
            await page.goto(local.first)
            await to_the_images(page, folder)
            await press(page, "These are right")
            await heading(page, "What is true of all")
            pipeline = page.get_by_label("Pipeline")
            assert await pipeline.input_value() == "PIPEHERB0001"
            await tab_to(page, "Collection")
            await page.keyboard.press("ArrowDown")
            assert await pipeline.input_value() == "PIPEPIOF0001"
            assert await page.get_by_label("Preparation").input_value() == "sheet"
            await fill(page, "Photographed by", "Åse Ø")
            await fill(page, "Together with", "Bo B")
            await fill(page, "Other funding", "Ærø Fond")
            await press(page, "Go on")
            await heading(page, "What will happen")
            await press(page, "Back to the choices")
            await page.get_by_text("your choices of last time").wait_for()
            assert await page.get_by_label("Collection").input_value() == "NHMD Entomology"
            assert await pipeline.input_value() == "PIPEPIOF0001"
            assert await page.get_by_label("Together with").input_value() == "Bo B"
            assert await page.get_by_label("Other funding").input_value() == "Ærø Fond"
    assert sorted(path.name for path in folder.iterdir()) == ["DSCF0001.RAF", "DSCF0001.tif"]


async def test_problems_are_named_with_what_to_do_and_nothing_goes_on_before_they_are_mended(
    browser: Browser, station: Station, tmp_path: Path
) -> None:
    folder = camera_session(tmp_path / "session", 2)
    (folder / "DSCF0001.RAF").rename(tmp_path / "DSCF0001.RAF")
    whole = (folder / "DSCF0002.tif").read_bytes()
    (folder / "DSCF0002.tif").write_bytes(b"")
    with served_page(tmp_path, str(station.http.base_url)) as local:
        async with opened(browser, local.base) as page:
            await page.goto(local.first)
            await to_the_images(page, folder)
            await heading(page, "2 problems to put right")
            await page.get_by_text("It has no raw file of the same name").wait_for()
            await page.get_by_text("It is empty (0 bytes)").wait_for()
            assert await page.get_by_text("These are right").count() == 0
            await seen(page, "3-look-problems")
            await page.goto("/check")
            assert page.url == f"{local.base}/choices"
            (tmp_path / "DSCF0001.RAF").rename(folder / "DSCF0001.RAF")
            (folder / "DSCF0002.tif").write_bytes(whole)
            await page.goto("/look")
            await press(page, "Look again")
            await page.get_by_text("These are right").wait_for()


async def test_a_run_goes_on_without_a_window_is_stopped_and_gone_on_with(
    browser: Browser, station: Station, tmp_path: Path
) -> None:
    folder = camera_session(tmp_path / "session", 2)
    with served_page(tmp_path, str(station.http.base_url), gated=True) as local:
        async with opened(browser, local.base) as page:
            await page.goto(local.first)
            await to_the_images(page, folder)
            await to_the_start(page)
            await press(page, "Start")
            await heading(page, "Your session is under way")
        assert local.at_gate.wait(30)
        async with opened(browser, local.base) as page:
            await page.goto(local.first)
            await heading(page, "Your session is under way")
            await press(page, "Stop")
            await heading(page, "Stopped")
            await seen(page, "7-report-stopped")
            assert len(list((station.drive / station.name).iterdir())) == 0
            await press(page, "Go on with it")
            await heading(page, "Go on with the session")
            await seen(page, "5-check-again")
            local.state.server.show("a token that has expired")
            await press(page, "Go on")
            await heading(page, "Not complete yet")
            await seen(page, "7-report-login")
            await press(page, "Log in again")
            await page.get_by_text("Your login has expired").wait_for()
            await fill(page, "Password", PASSWORD)
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/report")
            await heading(page, "Not complete yet")
            await press(page, "Go on with it")
            await heading(page, "Go on with the session")
            await tab_to(page, "Delete what was sent, and ask me")
            await page.keyboard.press("ArrowDown")
            await press(page, "Go on")
            await heading(page, "Done")
    assert list(folder.iterdir()) == []
