"""The pages Today, Pipelines and Reports as they are answered, and as a browser shows them."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.board import open_board
from tests.support.browser import (
    LOOKS,
    no_serious_findings,
    opened,
    served_board,
    tabbed,
)
from tests.support.world import HERE, World, new
from track.commands.switches import set_attention
from track.jobs import verbs
from track.jobs.attempts import close_attempt
from track.jobs.endings import note_ends
from track.reports import days
from track.schema.database import make_engine, transact
from track.schema.states import State

pytestmark = pytest.mark.asyncio(loop_scope="session")

PIPELINE: dict[str, object] = {
    "pipeline": "PIPEHERB0001",
    "stages": [
        {"key": "ingest", "run": "refinery.ingest"},
        {"key": "create", "run": "refinery.create", "needs": "ingest"},
        {"key": "barcode", "run": "module barcode", "needs": "create"},
        {"key": "crop", "run": "module crop", "needs": "create", "emits": "DERIVED0001"},
        {"key": "ocr", "run": "module ocr", "needs": ["barcode", "crop"]},
        {"key": "synchronise", "run": "refinery.synchronise", "needs": "ocr"},
        {"key": "finalise", "run": "refinery.finalise", "needs": "synchronise"},
    ],
}
DERIVED: dict[str, object] = {
    "pipeline": "DERIVED0001",
    "stages": [{"key": "keep", "run": "refinery.create"}],
}
DATES = "UPDATE track.asset_hour SET hour = hour - make_interval(days => :days)"


async def museum(engine: AsyncEngine) -> World:
    """A fortnight's counts, thirty images on their road, one archive that is away."""
    world = await World.make(engine, PIPELINE, DERIVED)
    columns = "hour, sessions, images, derivatives, archived, archived_derivatives"
    for day, images in enumerate((212, 0, 0, 340, 388, 301, 290, 120, 0, 0, 402, 371, 366), 1):
        await world.sql(
            f"INSERT INTO track.asset_hour ({columns})"
            " VALUES (now() - make_interval(days => :day), 2, :images, 0, :archived, 0)",
            day=14 - day,
            images=images,
            archived=max(0, images - 20 * (day % 3)),
        )
    guids = [f"NHMD-45{n:04}" for n in range(30)]
    await world.register(*(new(guid, "PIPEHERB0001") for guid in guids))
    await world.describe(*guids)
    for _ in ("ingest", "create"):
        for found in await world.claim(limit=100):
            await world.finish(found)
    await transact(engine, note_ends, guids[:6])
    claims = await world.claim(limit=30)
    for n, found in enumerate(claims[:12]):
        attempt = await world.enqueue(found.job_id, HERE.name)
        if n < 8:
            await world.sql(
                "UPDATE track.attempt SET started_at = queued_at + interval '4 s' WHERE id = :a",
                a=attempt,
            )
            usage: dict[str, Any] = {"seconds": 3.0 + n, "cpu_s": 2.5 + n, "max_rss_mb": 300.0 + n}
            await transact(engine, close_attempt, attempt, "done", **usage)
    for found in claims[12:15]:
        why = "the label is too dark to be read"
        await transact(engine, verbs.end, found.job_id, State.FAILED, actor="test", why=why)
    await transact(engine, set_attention, guids[7], "which of the two codes?", actor="test")
    why = "it answers 503 Service Unavailable"
    await world.sql(
        "INSERT INTO track.history (actor, what, new, why)"
        " VALUES ('reconcile', 'alarm.archive.ars', 'on', :why)",
        why=why,
    )
    return world


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def world(modules_database: str) -> AsyncIterator[World]:
    engine = make_engine(modules_database)
    yield await museum(engine)
    await engine.dispose()


@pytest_asyncio.fixture(loop_scope="session")
async def board(
    world: World, modules_database: str, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    places = {"store": tmp_path, "n-drive": tmp_path, "records": tmp_path / "away"}
    async with open_board(modules_database, places=places) as client:
        yield client


async def test_today_says_what_came_what_moves_and_who_is_needed(board: httpx.AsyncClient) -> None:
    page = (await board.get("/today")).text
    day = days.today().isoformat()
    assert f'href="/find?came_from={day}&amp;came_to={day}"' in page
    assert page.count("images came in") >= 1 and "it answers 503 Service Unavailable" in page
    assert 'href="/attention?kind=failed"' in page and 'href="/specimens/NHMD-450006"' in page
    assert "store, n-drive" in page, "one disk is told of once"
    assert "it is not there" in page


async def test_a_pipeline_shows_its_stages_what_they_take_and_their_switches(
    board: httpx.AsyncClient,
) -> None:
    page = (await board.get("/pipelines/PIPEHERB0001")).text
    assert "/act/switch?pipeline=PIPEHERB0001&amp;stage=ocr&amp;on=false" in page
    assert 'makes images of <a href="/pipelines/DERIVED0001">' in page
    assert " s to " in page and "accepts" not in page
    assert (await board.get("/pipelines")).text.count("PIPEHERB0001") >= 2


async def test_a_pipeline_that_is_not_there_gets_a_page_that_says_so(
    board: httpx.AsyncClient,
) -> None:
    for address in ("/pipelines/NONE", "/live/pipelines/NONE"):
        answer = await board.get(address)
        assert (answer.status_code, "no pipeline NONE" in answer.text) == (404, True)


async def test_a_report_is_a_page_a_csv_and_a_json_of_the_same_figures(
    board: httpx.AsyncClient, world: World
) -> None:
    page = await board.get("/reports", params={"what": str(world.session_id)})
    assert page.status_code == 200 and "of W" in page.text
    asked = {"what": days.today().isoformat()}
    text = (await board.get("/reports.csv", params=asked)).text
    rows = list(csv.DictReader(io.StringIO(text)))
    lines = (await board.get("/reports.json", params=asked)).json()
    assert [row["figure"] for row in rows] == [line["figure"] for line in lines]
    whole = {row["figure"]: row["value"] for row in rows if not row["stage"]}
    ((came,),) = await world.sql("SELECT count(*) FROM track.asset")
    assert (whole["images received"], whole["images archived"]) == (str(came), "6")
    assert whole["images that need a person"] == "4"


@pytest.mark.parametrize(
    ("what", "status", "says"),
    [
        ("yesterday", 422, "neither a session nor a day nor a month"),
        ("2026-13", 422, "in no calendar"),
        ("00000000-0000-0000-0000-000000000000", 404, "there is no session"),
        ("'; DROP TABLE track.job", 422, "neither a session"),
    ],
)
async def test_what_cannot_be_reported_is_said_on_the_page(
    board: httpx.AsyncClient, what: str, status: int, says: str
) -> None:
    page = await board.get("/reports", params={"what": what})
    assert (page.status_code, says in page.text) == (422, True)
    answer = await board.get("/reports.csv", params={"what": what})
    assert (answer.status_code, says in answer.text) == (status, True)


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def served(world: World, modules_database: str) -> AsyncIterator[str]:
    with served_board(modules_database, places={"store": Path("/tmp")}) as address:
        yield address


async def images(page: Page) -> int:
    """How many images came in, as the page says."""
    text = await page.get_by_role("link", name="images came in").inner_text()
    return int(text.split()[0])


async def test_every_page_is_usable_light_and_dark_wide_and_narrow(
    served: str,
    browser: Browser,
) -> None:
    for look in LOOKS:
        scheme, size = look.values
        async with opened(browser, served, scheme=str(scheme), size=size) as page:
            for path in ("/today", "/pipelines", "/pipelines/PIPEHERB0001", "/reports"):
                await page.goto(path)
                await no_serious_findings(page)


async def test_an_open_page_shows_what_changed_and_keeps_the_focus_and_what_was_opened(
    served: str,
    world: World,
    browser: Browser,
) -> None:
    async with opened(browser, served) as page:
        await page.goto("/today")
        came = page.get_by_role("link", name="images came in")
        before = await images(page)
        await page.get_by_text("As a table").click()
        await came.focus()
        await world.register(new("NHMD-460000", "PIPEHERB0001"))
        await expect(came).to_contain_text(f"{before + 1} images")
        await expect(came).to_be_focused()
        await expect(page.get_by_role("columnheader", name="Images came in")).to_be_visible()


async def test_a_hidden_page_asks_nothing_and_is_brought_up_to_date_when_it_is_seen(
    served: str,
    world: World,
    browser: Browser,
) -> None:
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    async with opened(browser, served) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto("/today")
        came = page.get_by_role("link", name="images came in")
        await page.evaluate(hide, True)
        await world.register(new("NHMD-460001", "PIPEHERB0001"))
        before = (await images(page), len(asked))
        await page.wait_for_timeout(2500)  # more than a turn of a stream, had it one
        assert (await images(page), len(asked)) == before
        await page.evaluate(hide, False)
        await expect(came).to_contain_text(f"{before[0] + 1} images")


async def test_a_page_whose_stream_is_gone_says_of_when_it_is(
    served: str,
    browser: Browser,
) -> None:
    async with opened(browser, served) as page:
        await page.route("**/live/today", lambda route: route.fulfill(status=503))
        await page.goto("/today")
        await expect(page.get_by_role("status")).to_contain_text(
            "Not connected: this is how it was"
        )
        await expect(page.get_by_role("link", name="images came in")).to_be_visible()


async def test_every_link_is_reached_by_keyboard_and_the_first_skips_to_the_content(
    served: str,
    browser: Browser,
) -> None:
    async with opened(browser, served) as page:
        for path in ("/today", "/pipelines/PIPEHERB0001"):
            await page.goto(path)
            links = await page.locator(
                "main a:visible, main summary:visible, main button:visible"
            ).count()
            seen = await tabbed(page, 200)
            assert seen[0] == "Skip to the content"
            assert len(seen) >= links
        await page.goto("/reports")
        await page.get_by_label("A day, a month").fill("last week")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("neither a session nor a day")).to_be_visible()


async def test_every_page_works_without_script(
    served: str,
    browser: Browser,
) -> None:
    async with opened(browser, served, java_script_enabled=False) as page:
        await page.goto("/today")
        await page.get_by_role("link", name="Pipelines").click()
        await page.get_by_role("link", name="PIPEHERB0001").first.click()
        await expect(page.get_by_role("heading", name="What stages take")).to_be_visible()
