"""The pages of sessions: which are listed, what is said of one, and bad addresses."""

import csv
import io
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.board import open_board
from tests.support.troubled import Troubled, TroubledDatabase, guid
from tests.support.world import new
from track.reports import sessions

HTML = {"Accept": "text/html"}


@pytest.fixture
async def troubled(engine: AsyncEngine) -> Troubled:
    return await Troubled.make(engine)


@pytest.fixture
async def changing(database: str, troubled: Troubled) -> AsyncIterator[httpx.AsyncClient]:
    """The board on a database that the test changes."""
    async with open_board(database) as client:
        yield client


@pytest.fixture
async def board(troubled_database: TroubledDatabase) -> AsyncIterator[httpx.AsyncClient]:
    """The board on one that all of them only look at."""
    async with open_board(troubled_database.url) as client:
        yield client


async def test_a_session_is_listed_with_its_state_and_what_needs_a_person(
    board: httpx.AsyncClient,
    troubled_database: TroubledDatabase,
) -> None:
    page = (await board.get("/sessions", headers=HTML)).text
    assert "2026-11-28_15-53-19" in page and "WORKHERB0001" in page and "under way" in page
    assert "Ib Ibsen" in page and "Vascular plants" in page
    assert f'href="/sessions/{troubled_database.session_id}?show=person">9' in page


@pytest.mark.parametrize(
    ("query", "there"),
    [
        ("workstation=WORKHERB0001", True),
        ("workstation=WORKHERB0002", False),
        ("workstation=%25", False),
        ("workstation='", False),
        ("collection=vascular+PLANTS", True),
        ("collection=Fungi", False),
        ("state=under+way", True),
        ("state=waits", False),
        ("state=needs+a+person", True),
        ("state=quarantined", True),
        ("state=finished", False),
        ("since=2026-01-01", True),
        ("until=2026-01-01", False),
        ("since=2026-01-01&state=quarantined&workstation=WORKHERB0001", True),
    ],
)
async def test_only_what_fits_is_listed(board: httpx.AsyncClient, query: str, there: bool) -> None:
    answer = await board.get(f"/sessions?{query}", headers=HTML)
    assert answer.status_code == 200
    assert ("2026-11-28_15-53-19" in answer.text) == there


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("since=28.11.2026", "since: &#39;28.11.2026&#39; is no day; write it as 2026-11-30"),
        ("since=0001-01-01", "since: &#39;0001-01-01&#39; is no day"),
        ("since=2026-02-01&until=2026-01-01", "until: it lies before the first day"),
        ("state=lost", "state: choose one of being read"),
        ("workstation=%00", "workstation: it has characters"),
        ("before=x", "before: it is no place in the list"),
    ],
)
async def test_what_cannot_be_meant_is_said_beside_its_field(
    board: httpx.AsyncClient, query: str, said: str
) -> None:
    answer = await board.get(f"/sessions?{query}", headers=HTML)
    assert answer.status_code == 422 and said in answer.text


async def test_every_session_is_on_one_page_of_the_list(
    changing: httpx.AsyncClient, troubled: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _open_sessions(troubled, 120)
    seen: list[str] = []
    address = "/sessions"
    while address:
        page = (await changing.get(address, headers=HTML)).text
        seen += [part.split('"')[0] for part in page.split('scope="row"><a href="/sessions/')[1:]]
        following = page.split('rel="next"')[0].rpartition('href="')[2] if "rel=" in page else ""
        address = following.split('"')[0].replace("&amp;", "&")
    assert len(seen) == len(set(seen)) == 121


async def _open_sessions(troubled: Troubled, number: int) -> None:
    await troubled.world.sql(
        "INSERT INTO track.session (path, opened_as, listing_hash, workstation, opened_at,"
        " registered_at, finished_at) SELECT '/n/' || n, '/n/' || n, 'h', 'W' || n % 3,"
        " now() - (n / 2) * interval '1 min', now(), now() FROM generate_series(1, :number) n",
        number=number,
    )


async def test_a_search_that_was_cut_says_from_where_to_look_further(
    engine: AsyncEngine, troubled: Troubled, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _open_sessions(troubled, 2_100)
    wanted = sessions.SessionFilter(state=sessions.SessionState.PERSON)
    async with engine.connect() as tx:
        await troubled.world.sql(
            "UPDATE track.session SET opened_at = now() - interval '9 days' WHERE id = :id",
            id=troubled.world.session_id,
        )
        first = await sessions.list_sessions(tx, wanted)
        assert (list(first.lines), first.is_cut) == ([], True) and first.after is not None
        second = await sessions.list_sessions(tx, wanted, first.after)
    assert [line.id for line in second.lines] == [troubled.world.session_id]
    assert second.after is None and not second.is_cut


async def test_a_session_says_how_far_it_is_and_what_is_wrong(
    board: httpx.AsyncClient,
    troubled_database: TroubledDatabase,
) -> None:
    page = (await board.get(f"/sessions/{troubled_database.session_id}", headers=HTML)).text
    assert "235 of its 643 strips are all zero" in page
    assert "What to do: copy it again and drop it with its metadata." in page
    assert "its guid was taken in from another folder" in page
    assert f'src="/specimens/{quote(guid(0), safe="")}/thumbnail.jpg"' in page
    assert page.count('class="tile"') == 12
    assert "cannot be told yet" in page
    assert 'data-live="/live/session/' in page


async def test_those_that_need_a_person_are_shown_alone(
    board: httpx.AsyncClient,
    troubled_database: TroubledDatabase,
) -> None:
    address = f"/sessions/{troubled_database.session_id}?show=person"
    page = (await board.get(address, headers=HTML)).text
    assert page.count('class="tile"') == 9
    assert guid(0) not in page.split('id="specimens"')[1]


async def test_pages_of_specimens_have_each_once(
    changing: httpx.AsyncClient, troubled: Troubled
) -> None:
    more = [f"NHMD-2{n:05}" for n in range(100)]
    await troubled.world.register(*(new(each, "PIPEHERB0001") for each in more))
    here = f"/sessions/{troubled.world.session_id}"
    first = (await changing.get(here, headers=HTML)).text
    address = first.split('rel="next"')[0].rpartition('href="')[2].split('"')[0]
    second = (await changing.get(address.partition("#")[0], headers=HTML)).text
    assert (first.count('class="tile"'), second.count('class="tile"')) == (60, 52)


async def test_the_csv_has_every_asset_and_no_formula(
    changing: httpx.AsyncClient, troubled: Troubled
) -> None:
    await troubled.world.sql(
        "UPDATE track.asset SET attention = '=1+1' WHERE guid = :guid", guid=guid(2)
    )
    answer = await changing.get(f"/sessions/{troubled.world.session_id}.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="2026-11-28_15-53-19.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row["guid"] for row in rows] == sorted(troubled.guids)
    by_guid = {row["guid"]: row for row in rows}
    assert by_guid[guid(2)]["reason"] == "'=1+1"
    assert by_guid[guid(0)]["state"] == "finalised" and by_guid[guid(3)]["stage"] == "create"


@pytest.mark.parametrize("which", ["10bebbaf-77eb-45e3-a079-97139af0b1ca", "nonsense", "%00"])
async def test_a_session_that_is_not_there_says_so(board: httpx.AsyncClient, which: str) -> None:
    for address in (f"/sessions/{which}", f"/sessions/{which}.csv", f"/live/session/{which}"):
        answer = await board.get(address, headers=HTML)
        assert answer.status_code == 404 and "no such session" in answer.text
