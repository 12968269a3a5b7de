"""Needs a person: equal causes are one, each with its specimens and the verbs that help."""

from collections.abc import AsyncIterator
from urllib.parse import quote_plus

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from schemas.sites import Site
from tests.support.at_site import complete, start
from tests.support.board import acting_board, open_board
from tests.support.troubled import Troubled, TroubledDatabase, guid
from tests.support.world import World, install_sites, new
from track.jobs.outputs import OUTPUTS_WAIT, note_retrieved
from track.reports.attention import Cause, NeedKind, needs_person
from track.schema.database import transact

HTML = {"Accept": "text/html"}


@pytest.fixture
async def board(troubled_database: TroubledDatabase) -> AsyncIterator[httpx.AsyncClient]:
    async with acting_board(troubled_database.url) as client:
        yield client


async def causes(url: str) -> list[Cause]:
    engine = create_async_engine(url)
    async with engine.connect() as tx:
        found = await needs_person(tx)
    await engine.dispose()
    return list(found.causes)


async def test_everything_that_stands_is_there_once_by_its_cause(
    troubled_database: TroubledDatabase,
) -> None:
    found = await causes(troubled_database.url)
    assert [(each.need, each.stage, each.assets) for each in found] == [
        (NeedKind.FAILED, "create", 5),
        (NeedKind.FAILED, "create", 1),
        (NeedKind.CANCELLED, "ingest", 1),
        (NeedKind.QUARANTINED, "", 1),
        (NeedKind.HELD, "", 1),
        (NeedKind.WARNING, "ingest", 1),
    ]
    assert found[0].text == "…: the archive: 503, and not in ARS's words (request …)"
    assert found[3].remedy == "copy it again and drop it with its metadata"
    assert [each.guid for each in found[0].members] == [guid(n) for n in range(3, 8)]


async def test_the_page_has_each_cause_with_what_helps(board: httpx.AsyncClient) -> None:
    page = (await board.get("/attention", headers=HTML)).text
    assert page.count('<li class="cause">') == 6
    assert "5 specimens" in page and "This does again all that failed at that stage" in page
    assert "/act/resubmit?pipeline=PIPEHERB0001&amp;stage=create" in page
    assert "/act/switch?pipeline=PIPEHERB0001&amp;stage=create&amp;on=off" in page
    assert "docs/refusals.md" in page and "What to do: copy it again" in page


async def test_one_kind_is_shown_alone(board: httpx.AsyncClient) -> None:
    page = (await board.get("/attention?kind=attention", headers=HTML)).text
    assert page.count('<li class="cause">') == 1 and "no code was read" in page
    assert (await board.get("/attention?kind='%25", headers=HTML)).text.count("cause") > 6


async def test_a_cause_lists_its_specimens_with_the_verbs_for_each(
    board: httpx.AsyncClient,
    troubled_database: TroubledDatabase,
) -> None:
    first, *_, held, _warned = await causes(troubled_database.url)
    page = (await board.get(f"/attention/{first.key}", headers=HTML)).text
    for number in range(3, 8):
        assert f"/act/skip?guid={quote_plus(guid(number))}&amp;stage=create" in page
    page = (await board.get(f"/attention/{held.key}", headers=HTML)).text
    assert f"/act/attention?guid={quote_plus(guid(2))}" in page
    assert "There is no verb for all of them at once" in page


async def test_a_reader_sees_no_verbs(troubled_database: TroubledDatabase) -> None:
    async with open_board(troubled_database.url) as board:
        assert "/act/" not in (await board.get("/attention", headers=HTML)).text


async def test_a_cause_that_is_over_says_so(board: httpx.AsyncClient) -> None:
    answer = await board.get("/attention/0123456789abcdef", headers=HTML)
    assert answer.status_code == 404 and "no such cause any more" in answer.text


async def test_with_nothing_to_do_it_says_that(database: str) -> None:
    async with open_board(database) as board:
        assert "Nothing needs a person." in (await board.get("/attention", headers=HTML)).text


CUT = {"key": "cut", "run": "module load", "outputs": ["cut.tif"]}
FAR = Site.model_validate({"site": "far", "kind": "local", "root": "/tmp/nowhere"})
MADE = {"path": "cut.tif", "size_bytes": 1, "sha256": "0" * 64}
AGO = "UPDATE track.attempt SET closed_at = now() - make_interval(mins => :minutes) WHERE id = :id"


async def unbrought(engine: AsyncEngine, **ages: int) -> World:
    """Specimens whose outputs lie at site `far`, each for so many minutes."""
    world = await World.make(engine, {"pipeline": "P", "stages": [CUT]})
    await transact(engine, install_sites, [FAR])
    await world.register(*map(new, ages))
    await world.describe(*ages)
    for name, minutes in ages.items():
        (claim,) = await world.claim(guid=name)
        attempt = await world.enqueue(claim.job_id, "far")
        await start(world, attempt)
        await complete(world, attempt, result={"outputs": [MADE]})
        await world.sql(AGO, id=attempt, minutes=minutes)
    return world


async def test_outputs_that_do_not_come_are_a_cause_with_the_verb_that_decides(
    engine: AsyncEngine, database: str
) -> None:
    world = await unbrought(engine, g=25 * 60, h=25 * 60, late=23 * 60)
    (cause,) = await causes(database)
    assert (cause.need, cause.stage, cause.assets) == (NeedKind.OUTPUTS, "cut", 2)
    assert (
        cause.text == "its outputs have yet to be brought from far though they were made a day ago"
    )
    async with acting_board(database) as board:
        page = (await board.get("/attention", headers=HTML)).text
        assert "outputs: files that can never be brought" in page
        assert "/attention?kind=outputs" in page
        page = (await board.get(f"/attention/{cause.key}", headers=HTML)).text
        for do in ("again", "without"):
            assert f"/act/outputs?guid=g&amp;stage=cut&amp;do={do}" in page
    for attempt in await world.rows("SELECT id FROM track.attempt"):
        await transact(engine, note_retrieved, attempt["id"])
    assert await causes(database) == []


async def test_of_outputs_whose_trouble_is_known_an_hour_is_enough(
    engine: AsyncEngine, database: str
) -> None:
    world = await unbrought(engine, g=61, h=59)
    assert await causes(database) == []
    await world.sql("UPDATE track.site SET degraded = 'no link' WHERE name = 'far'")
    (cause,) = await causes(database)
    assert cause.assets == 1 and cause.text.endswith("from far, which is degraded: no link")
    full = OSError(28, "No space left on device", "/outputs/g")
    await world.sql(
        "UPDATE track.job SET reason = :why WHERE asset_guid = 'g'",
        why=f"{OUTPUTS_WAIT}cannot be kept here: {full}",
    )
    (cause,) = await causes(database)
    assert (
        "far; its outputs cannot be kept here: [Errno 28] No space left" in cause.members[0].reason
    )


async def test_more_than_is_read_is_said(engine: AsyncEngine) -> None:
    await Troubled.make(engine)
    async with engine.connect() as tx:
        assert (await needs_person(tx, most=3)).is_cut
        assert not (await needs_person(tx)).is_cut
