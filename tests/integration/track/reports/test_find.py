"""Specimens are found by what is known of them, and every sign that is typed means itself."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.specimen_query import QueryError, read_query
from tests.support.world import World, new
from track.records.search import fill_search
from track.reports import find as found
from track.schema.database import reading

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "stages": [
        {"key": "ingest", "run": "refinery.ingest"},
        {"key": "create", "run": "refinery.create", "needs": "ingest"},
    ],
}


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, PIPELINE)
    await made.register(new("A 1_%"), new("B'2"), new("C-æ3"))
    await made.describe(
        "A 1_%",
        barcode=["NHMD-450444"],
        collection="Vascular plants",
        digitiser="Søren Åkær",
        tags={"ocr": "Quercus robur\nHerb. Hauniense 100%"},
        date_asset_taken="2026-11-01T10:00:00+01:00",
    )
    await made.describe(
        "B'2",
        barcode=["NHMA_0001\\x", "NHMD-444045"],
        collection="Entomology",
        digitiser="O'Neill",
        tags={"taxon": "Quercus petraea"},
        date_asset_taken="2026-11-20T10:00:00+01:00",
    )
    return made


async def guids(world: World, **given: str) -> list[str]:
    async with reading(world.engine, 15) as tx:
        page = await found.find(tx, read_query(given))
    assert page.number == len(page.specimens)
    return sorted(each.guid for each in page.specimens)


A, B, C = "A 1_%", "B'2", "C-æ3"


MEANT: list[tuple[dict[str, str], list[str]]] = [
    ({"barcode": "nhmd-450444"}, [A]),
    ({"barcode": "NHMD-45044"}, []),
    ({"number": "0444"}, [A]),
    ({"number": "444"}, [A, B]),
    ({"number": "4504444"}, []),  # all its threes are in that of A
    ({"q": "4504444"}, []),
    ({"number": "1\\x"}, [B]),
    ({"guid": "a 1"}, [A]),
    ({"guid": "C-Æ"}, [C]),
    ({"collection": "vasc"}, [A]),
    ({"collection": "%"}, []),
    ({"words": "Quercus"}, [A, B]),
    ({"words": "robur quer"}, [A]),
    ({"words": "%"}, []),
    ({"words": "100"}, [A]),
    ({"digitiser": "søren å"}, [A]),
    ({"digitiser": "O'N"}, [B]),
    ({"workstation": "w"}, [A, B, C]),
    ({"pipeline": "P", "words": "petraea"}, [B]),
    ({"taken_from": "2026-11-10"}, [B]),
    ({"taken_to": "2026-11-01"}, [A]),
    ({"taken_from": "2026-11-01", "taken_to": "2026-11-30"}, [A, B]),
    ({"came_to": "2020-01-01"}, []),
    ({"q": "NHMD-450444"}, [A]),
    ({"q": "450"}, [A]),
    ({"q": "4504"}, [A]),
    ({"q": "_%"}, []),
    ({"q": "A 1_%"}, [A]),
    ({"q": "'"}, []),
    ({"q": "b'2"}, [B]),
    ({"q": "0001\\"}, [B]),
    ({"q": "quercus robur"}, [A]),
    ({"q": "entomology"}, [B]),
    ({"q": "' | 'a':* & !("}, []),
    ({"state": "underway"}, [A, B, C]),
    ({"state": "ready"}, [A, B, C]),
    ({"state": "finalised"}, []),
    ({"state": "quarantined"}, []),
    ({}, [A, B, C]),
]


async def test_it_finds_what_is_meant(world: World) -> None:
    wrong = {}
    for given, expected in MEANT:
        if (seen := await guids(world, **given)) != sorted(expected):
            wrong[str(given)] = seen
    assert wrong == {}


async def test_a_changed_document_is_found_by_what_it_says_now(world: World) -> None:
    await world.describe(A, barcode=["NHMD-99"], tags={"ocr": "Fagus"})
    assert await guids(world, words="robur") == []
    assert await guids(world, words="fagus") == [A]
    assert await guids(world, barcode="NHMD-450444") == []


async def test_each_state_that_needs_a_person_is_found(world: World) -> None:
    await world.sql("UPDATE track.asset SET attention = 'look' WHERE guid = :g", g=A)
    await world.sql(
        'UPDATE track.asset SET quarantine = \'{"file": "x.tif", "problem": "is black",'
        ' "remedy": "photograph it again"}\' WHERE guid = :g',
        g=B,
    )
    await world.sql("UPDATE track.job SET state = 'failed' WHERE asset_guid = :g", g=C)
    assert await guids(world, state="attention") == [A]
    assert await guids(world, state="quarantined") == [B]
    assert await guids(world, state="failed") == [C]
    assert await guids(world, state="person") == [A, B, C]
    assert await guids(world, state="person", collection="vasc") == [A]
    async with reading(world.engine, 15) as tx:
        page = await found.find(tx, read_query({"state": "person", "order": "oldest"}))
    shown = {each.guid: (each.state, each.reason) for each in page.specimens}
    assert shown[A] == ("attention", "look")
    assert shown[B][0] == "quarantined" and "photograph it again" in shown[B][1]
    assert shown[C][0] == "failed"


async def test_a_finalised_specimen_is_found_as_that(world: World) -> None:
    await world.sql("UPDATE track.asset SET finalised_at = now() WHERE guid = :g", g=A)
    assert await guids(world, state="finalised") == [A]
    assert await guids(world, state="underway") == [B, C]
    assert await guids(world, state="finalised", words="petraea") == []


async def test_pages_hold_everything_once_and_in_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [new(f"m{n:03}") for n in range(57)]
    await world.register(*many)
    for bound in (10_000, 20, 5):  # the statement that has them is another each time
        monkeypatch.setattr(found, "MAX_COUNT", bound)
        monkeypatch.setattr(found, "LOOKED_THROUGH", bound)
        for order in ("newest", "oldest"):
            for state in ("", "underway"):
                seen, after = [], None
                while True:
                    async with reading(world.engine, 15) as tx:
                        query = read_query({"order": order, "state": state, "guid": "m"})
                        page = await found.find(tx, query, after, 10)
                    seen += [each.guid for each in page.specimens]
                    assert page.number == (57 if bound >= 57 else None)
                    if page.following is None:
                        break
                    after = found.FoundPlace.read(str(page.following))
                wanted = sorted((each.guid for each in many), reverse=order == "newest")
                assert seen == wanted, (bound, order, state)


async def test_all_of_it_comes_in_pages_of_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found, "CSV_PAGE", 2)

    every = found.find_all(lambda: reading(world.engine, 15), read_query({"order": "oldest"}))
    assert [each.guid async for each in every] == [A, B, C]


async def test_what_was_there_before_the_table_is_brought_in_page_by_page(world: World) -> None:
    await world.sql("DELETE FROM track.search")
    await world.sql("INSERT INTO track.search_fill VALUES ('')")
    async with reading(world.engine, 15) as tx:
        page = await found.find(tx, read_query({}))
    assert (page.number, page.complete) == (0, False)
    assert await fill_search(world.engine)
    assert await guids(world, words="quercus") == [A, B]
    async with reading(world.engine, 15) as tx:
        assert (await found.find(tx, read_query({}))).complete


@pytest.mark.parametrize(
    ("given", "field", "remedy"),
    [
        ({"came_from": "28.11.2026"}, "came_from", "2026-11-28"),
        ({"came_from": "2026-02-30"}, "came_from", "no day"),
        ({"came_from": "20260101"}, "came_from", "2026-11-28"),
        ({"taken_to": "0001-01-01"}, "taken_to", "our time"),
        ({"came_from": "2026-02-03", "came_to": "2026-02-01"}, "came_to", "exchange"),
        ({"state": "broken"}, "state", "quarantined"),
        ({"number": "45"}, "number", "3"),
        ({"q": "x" * 201}, "q", "200"),
        ({"q": "a\0b"}, "q", "anew"),
        ({"order": "up"}, "order", "newest"),
    ],
)
def test_what_cannot_be_read_names_field_and_remedy(
    given: dict[str, str], field: str, remedy: str
) -> None:
    with pytest.raises(QueryError) as caught:
        read_query(given)
    assert list(caught.value.faults) == [field]
    assert remedy in caught.value.faults[field]


def test_a_place_that_is_none_is_refused() -> None:
    place = found.FoundPlace(datetime(2026, 1, 1, tzinfo=UTC), "a,b")
    assert found.FoundPlace.read(str(place)) == place
    for bad in ("x", "2026-01-01,a", "2026-01-01T00:00:00+00:00,"):
        with pytest.raises(ValueError):
            found.FoundPlace.read(bad)
