"""Find, one specimen and pictures, as pages and files, on what a road has left."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from PIL import Image
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.tabular import harmless
from tests.support.at_site import kill, start
from tests.support.board import open_board
from tests.support.drawn_sheet import drawn
from tests.support.looked_at import BROKEN, HELD, OTHER, SHEET, LookedAt
from tests.support.world import World, new

HTML = {"Accept": "text/html"}


@pytest.fixture
async def seen(engine: AsyncEngine, database: str, tmp_path: Path) -> AsyncIterator[LookedAt]:
    async with LookedAt.open(engine, database, tmp_path, drawn()) as made:
        yield made


@pytest.fixture
async def board(seen: LookedAt, database: str) -> AsyncIterator[httpx.AsyncClient]:
    async with open_board(database, **seen.board) as client:
        yield client


STAGE = {"key": "clean", "run": "module clean"}


def specimen(guid: str, rest: str = "") -> str:
    return f"/specimens/{quote(guid, safe='')}{rest}"


async def test_the_whole_of_find(board: httpx.AsyncClient, seen: LookedAt) -> None:
    # Each of them needs the same four specimens, which cost more than all the questions.
    page = await board.get("/find", params={"words": "quercus"}, headers=HTML)
    assert page.status_code == 200
    assert specimen(SHEET) in page.text and specimen(OTHER) not in page.text

    table = await board.get("/find", params={"collection": "ento", "view": "table"}, headers=HTML)
    assert "NHMD-77" in table.text and "O&#39;Neill" in table.text and "1 specimen" in table.text

    nothing = await board.get("/find", params={"q": "<b>%' OR 1=1"}, headers=HTML)
    assert nothing.status_code == 200
    assert "Nothing fits" in nothing.text and "&lt;b&gt;%" in nothing.text

    exact = await board.get("/find", params={"q": SHEET}, headers=HTML)
    assert (exact.status_code, exact.headers["location"]) == (303, specimen(SHEET))

    bad = await board.get("/find", params={"came_from": "28.11.2026", "number": "1"}, headers=HTML)
    assert bad.status_code == 422
    assert "came_from: &#39;28.11.2026&#39; is no day: write it as 2026-11-28" in bad.text
    assert "number: write 3 letters" in bad.text and 'value="28.11.2026"' in bad.text
    place = await board.get("/find", params={"after": "nowhere"}, headers=HTML)
    assert place.status_code == 422 and "begin anew" in place.text

    every = await board.get("/find.csv")
    assert every.headers["content-type"].startswith("text/csv")
    assert every.content.startswith(b"\xef\xbb\xbf")
    rows = {row["guid"]: row for row in csv.DictReader(io.StringIO(every.text[1:]))}
    assert set(rows) == {SHEET, OTHER, BROKEN, HELD}
    assert rows[BROKEN]["state"] == "quarantined"
    assert (await board.get("/find.csv", params={"state": "no"})).status_code == 422

    answer = (await board.get("/find.json", params={"state": "person"})).json()
    assert answer["number"] == 2 and answer["complete"]
    assert {each["guid"] for each in answer["specimens"]} == {BROKEN, HELD}
    refused = await board.get("/find.json", params={"came_to": "x"})
    assert list(refused.json()["error"]) == ["came_to"]


async def test_the_whole_of_a_specimen(board: httpx.AsyncClient, seen: LookedAt) -> None:
    page = (await board.get(specimen(SHEET), headers=HTML)).text
    for expected in (
        "<polygon points=",  # the sheet
        "seen-label",
        "Quercus robur L.",
        "seen-code",
        "<code>NHMD-450444</code>",
        "the node&#39;s disk is full",
        "4711_3",
        "4712_3",
        "Exit code</dt><dd>74",
        "<td>tags</td>",  # in its revisions
        "Åse Sørensen",
        "NHMD Ærø 100% &#39;x&#39;.tif",
        "once the archive proves its own",
        "/n/WORKHERB0001/s",
    ):
        assert expected in page, expected
    assert "<script>" not in page and " style=" not in page
    assert "/act/" not in page  # nobody is logged in

    held = (await board.get(specimen(HELD), headers=HTML)).text
    assert "Held for a person: no code was read" in held
    broken = (await board.get(specimen(BROKEN), headers=HTML)).text
    assert "Not taken in: broken-3.tif: it cannot be decoded" in broken

    life = (await board.get(specimen(SHEET, "/life.json"))).json()
    assert life["guid"] == SHEET
    (loaded,) = (each for each in life["stages"] if each["stage"] == "assetLoader")
    assert [each["outcome"] for each in loaded["attempts"]] == ["failed", "done"]

    gone = await board.get(specimen("sheet-"), headers=HTML)
    assert gone.status_code == 404
    assert "Nothing is known under the guid" in gone.text and specimen(OTHER) in gone.text
    assert (await board.get("/specimens/a%00b", headers=HTML)).status_code == 404
    assert (await board.get(specimen("none", "/life.json"))).status_code == 404


async def test_an_asset_without_metadata_has_a_page(
    board: httpx.AsyncClient, seen: LookedAt
) -> None:
    await seen.cluster.world.sql("DELETE FROM metadata.revision WHERE asset_guid = :g", g=BROKEN)
    await seen.cluster.world.sql("DELETE FROM metadata.document WHERE asset_guid = :g", g=BROKEN)
    await seen.cluster.world.sql(
        "INSERT INTO track.history (actor, what, asset_guid, new)"
        " VALUES ('records', 'records.left', :g, '2026-11/29T')",
        g=BROKEN,
    )
    page = await board.get(specimen(BROKEN), headers=HTML)
    assert page.status_code == 200
    assert "No metadata is known of it" in page.text
    assert "restore-records 2026-11/29T" in page.text


async def test_pictures_have_tags_and_what_has_none_says_why(
    board: httpx.AsyncClient, seen: LookedAt
) -> None:
    picture = await board.get(specimen(SHEET, "/preview.jpg"))
    assert picture.headers["content-type"] == "image/jpeg"
    assert "private" in picture.headers["cache-control"]
    with Image.open(io.BytesIO(picture.content)) as image:
        assert image.size == (900, 1200)
    tag = {"If-None-Match": picture.headers["etag"]}
    assert (await board.get(specimen(SHEET, "/preview.jpg"), headers=tag)).status_code == 304
    small = await board.get(specimen(SHEET, "/thumbnail.jpg"))
    with Image.open(io.BytesIO(small.content)) as image:
        assert max(image.size) == 320

    none = await board.get(specimen(BROKEN, "/thumbnail.jpg"))
    assert none.headers["content-type"].startswith("image/svg+xml")
    assert none.headers["cache-control"] == "no-store" and "broken-3.tif" in none.text
    assert "can be reached" in (await board.get(specimen(HELD, "/preview.jpg"))).text
    assert (await board.get(specimen("none", "/preview.jpg"))).status_code == 404


def test_no_cell_is_a_formula_to_a_spreadsheet() -> None:
    for text in ("=1+1", "+1", "-1", "@x", "\tx"):
        assert harmless(text) == f"'{text}"
    assert harmless("NHMD-1") == "NHMD-1"


@pytest.mark.parametrize(
    ("printed", "shown"),
    [("no <label>", "no &lt;label&gt;"), ("", "it printed nothing before it ended"), (None, None)],
)
async def test_a_try_that_was_killed_has_what_it_printed(
    engine: AsyncEngine, database: str, printed: str | None, shown: str | None
) -> None:
    world = await World.make(engine, {"pipeline": "P", "stages": [STAGE]})
    await world.register(new("g"))
    (claim,) = await world.claim()
    attempt = await world.enqueue(claim.job_id, "alpha")
    await start(world, attempt)
    await kill(world, attempt, printed)
    async with open_board(database) as board:
        page = (await board.get(specimen("g"), headers=HTML)).text
    kept = f'aria-label="End of the log of try 1">{shown}</pre>'
    assert (kept in page) if shown else ("End of the log" not in page)
