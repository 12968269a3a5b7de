"""Acting from the board, through the real Prefect server: the form, its run, and its end."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL
from sqlalchemy.ext.asyncio import AsyncEngine

from flows import operate
from tasks.upkeep.verb_runs import read_run
from tests.support.board import acting_board, open_board
from tests.support.troubled import Troubled, guid
from track.schema.states import State

HTML = {"Accept": "text/html"}
HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
ACTS = (operate.resubmit, operate.skip, operate.attention, operate.switch)


@pytest.fixture
async def troubled(blocks: Path, engine: AsyncEngine) -> Troubled:
    for flow in ACTS:
        await (await flow.ato_deployment(name=flow.fn.__name__)).aapply()
    return await Troubled.make(engine)


@pytest.fixture
async def board(database: str, troubled: Troubled) -> AsyncIterator[httpx.AsyncClient]:
    async with acting_board(database, prefect_api=PREFECT_API_URL.value()) as client:
        yield client


async def opened(board: httpx.AsyncClient, address: str) -> dict[str, str]:
    """What a form sends along that a person does not see."""
    answer = await board.get(address, headers=HTML)
    assert answer.status_code == 200, answer.text
    return {name: unescape(value) for name, value in HIDDEN.findall(answer.text)}


async def pressed(
    board: httpx.AsyncClient, verb: str, hidden: dict[str, str], **fields: str
) -> httpx.Response:
    """What a form's button brings."""
    return await board.post(f"/act/{verb}", data=hidden | fields, headers=HTML)


async def asked(board: httpx.AsyncClient, verb: str, query: str, **fields: str) -> UUID:
    """Open a form from a link and press its button; the run."""
    answer = await pressed(board, verb, await opened(board, f"/act/{verb}?{query}"), **fields)
    assert answer.status_code == 303, answer.text
    return UUID(answer.headers["location"].removeprefix("/act/runs/"))


async def carried_out(run_id: UUID) -> None:
    """Do what a worker would with a run."""
    async with get_client() as client:
        run = await client.read_flow_run(run_id)
        found = await read_run(client, run_id)
    assert found is not None
    flow = next(each for each in ACTS if each.fn.__name__ == found.verb)
    await run_flow(flow, flow_run=run, parameters=run.parameters, return_type="state")


async def test_a_group_is_done_again_and_the_page_of_its_run_says_so(
    board: httpx.AsyncClient, troubled: Troubled
) -> None:
    group = {"pipeline": "PIPEHERB0001", "stage": "create"}
    page = (await board.get("/act/resubmit", params=group, headers=HTML)).text
    assert "Do stage create of 7 specimens of PIPEHERB0001 again" in page
    run_id = await asked(
        board, "resubmit", "pipeline=PIPEHERB0001&stage=create", by="somebody else", **group
    )
    before = (await board.get(f"/act/runs/{run_id}", headers=HTML)).text
    assert f'data-live="/live/run/{run_id}"' in before and "Asked by" in before
    await carried_out(run_id)
    after = (await board.get(f"/act/runs/{run_id}", headers=HTML)).text
    assert "resubmit: 7 changed, 0 left as they were" in after and "data-live" not in after
    assert f"/runs/flow-run/{run_id}" in after
    assert (await troubled.world.states(guid(3)))["create"] is State.READY
    actors = await troubled.world.sql("SELECT DISTINCT actor FROM track.history WHERE old='failed'")
    assert actors == [("operator:ib",)]


async def test_what_cannot_be_meant_is_said_and_nothing_is_done(board: httpx.AsyncClient) -> None:
    for verb, fields, said in (
        ("skip", {"guid": "NHMD", "stage": "ocr"}, "guid: no asset 'NHMD'"),
        ("skip", {"guid": guid(3), "stage": "orc"}, "did you mean 'ocr'?"),
        ("skip", {"guid": guid(3)}, "stage: it is needed"),
        ("resubmit", {}, "guid: Say what is meant"),
        ("resubmit", {"session": "7"}, "session: '7' is not an id"),
        ("resubmit", {"session": str(uuid4())}, "session: no session"),
        ("switch", {"on": "perhaps", "site": "here"}, "on: 'perhaps' is neither yes nor no"),
        ("skip", {"guid": "a\0b", "stage": "ocr"}, "guid: it cannot be kept"),
        ("skip", {"guid": guid(3), "stage": "ocr", "colour": "red"}, "colour: skip has no such"),
    ):
        answer = await pressed(board, verb, await opened(board, f"/act/{verb}?"), **fields)
        assert answer.status_code == 422 and said in unescape(answer.text), (fields, said)
        assert "Nothing was done." in answer.text
        assert all(f'value="{unescape(v)}"' in unescape(answer.text) or v in answer.text
                   for v in fields.values() if v.isalnum())  # fmt: skip
    assert await _runs() == 0


async def _runs() -> int:
    async with get_client() as client:
        return sum(
            run.parameters.get("by") == "ib" and run.created is not None
            for run in await client.read_flow_runs()
            if run.parameters.get("guid") in (guid(3), "NHMD")
        )


async def test_what_was_changed_in_the_form_is_told_before_it_is_done(
    board: httpx.AsyncClient,
) -> None:
    address = f"/act/skip?guid={guid(3)}&stage=create"
    hidden = await opened(board, address)
    answer = await pressed(board, "skip", hidden, guid=guid(4), stage="create")
    assert answer.status_code == 200 and "You have changed something" in answer.text
    assert f"Leave stage create of {guid(4)} out" in answer.text
    again = {name: unescape(value) for name, value in HIDDEN.findall(answer.text)}
    done = await pressed(board, "skip", again, guid=guid(4), stage="create", why="no text")
    assert done.status_code == 303


async def test_a_form_pressed_twice_runs_once(board: httpx.AsyncClient) -> None:
    hidden = await opened(board, f"/act/skip?guid={guid(5)}&stage=create")
    fields = {"guid": guid(5), "stage": "create"}
    pair = [pressed(board, "skip", hidden, **fields) for _ in range(2)]
    places = {answer.headers["location"] for answer in await asyncio.gather(*pair)}
    assert len(places) == 1
    run_id = UUID(places.pop().removeprefix("/act/runs/"))
    await carried_out(run_id)
    late = await pressed(board, "skip", hidden, **fields)  # as by a reload, when it is over
    assert late.headers["location"] == f"/act/runs/{run_id}"
    fresh = await asked(board, "skip", f"guid={guid(5)}&stage=create", **fields)
    assert fresh != run_id


async def test_of_two_who_press_at_once_one_acts_and_the_other_is_told(
    board: httpx.AsyncClient, database: str
) -> None:
    query, fields = "pipeline=PIPEHERB0001&on=off", {"pipeline": "PIPEHERB0001", "on": "off"}
    async with acting_board(database, "anna", prefect_api=PREFECT_API_URL.value()) as other:
        both = [(each, await opened(each, f"/act/switch?{query}")) for each in (board, other)]
        answers = await asyncio.gather(
            *(pressed(each, "switch", hidden, **fields) for each, hidden in both)
        )
        assert sorted(answer.status_code for answer in answers) == [303, 409]
        first, second = sorted(answers, key=lambda answer: answer.status_code)
        assert first.headers["location"] in second.text and "asked for the same" in second.text
        await carried_out(UUID(first.headers["location"].removeprefix("/act/runs/")))
        # Also the one who comes when it is over, with a form that was opened before.
        loser = answers.index(second)
        late = await pressed(*_late(both[loser]), **fields)
        assert late.status_code == 409 and "you started nothing" in late.text


def _late(
    of: tuple[httpx.AsyncClient, dict[str, str]],
) -> tuple[httpx.AsyncClient, str, dict[str, str]]:
    return of[0], "switch", of[1]


async def test_what_is_refused_by_the_verb_is_on_its_runs_page(board: httpx.AsyncClient) -> None:
    fields = {"on": "on", "site": "nowhere"}
    run_id = await asked(board, "switch", "on=on&site=nowhere", **fields)
    await carried_out(run_id)
    page = unescape((await board.get(f"/act/runs/{run_id}", headers=HTML)).text)
    assert "site: no site 'nowhere'" in page and "Change it, and ask again" in page
    assert "/act/switch?on=True&site=nowhere" in page


async def test_a_reader_sees_the_form_and_may_not_send_it(
    database: str, troubled: Troubled
) -> None:
    async with open_board(database, prefect_api=PREFECT_API_URL.value()) as board:
        page = await board.get(f"/act/skip?guid={guid(3)}&stage=create", headers=HTML)
        assert "Only an operator may do this" in page.text and "Do it" not in page.text
        answer = await board.post("/act/skip", data={"guid": guid(3)}, headers=HTML)
        assert answer.status_code == 403


async def test_every_verb_is_listed_and_an_unknown_one_gets_the_nearest(
    board: httpx.AsyncClient,
) -> None:
    page = (await board.get("/act", headers=HTML)).text
    assert 'href="/act/attention"' in page and 'href="/act/skip"' in page
    answer = await board.get("/act/skipp", headers=HTML)
    assert answer.status_code == 404 and "did you mean skip?" in answer.text


@pytest.mark.parametrize("run_id", ["10bebbaf-77eb-45e3-a079-97139af0b1ca", "nonsense"])
async def test_a_run_that_is_not_there_says_so(board: httpx.AsyncClient, run_id: str) -> None:
    for address in (f"/act/runs/{run_id}", f"/live/run/{run_id}"):
        answer = await board.get(address, headers=HTML)
        assert answer.status_code == 404 and "no such run" in answer.text


async def test_while_prefect_is_away_the_form_stays_filled(
    board: httpx.AsyncClient, database: str, troubled: Troubled
) -> None:
    nowhere = "http://127.0.0.1:9/api"
    fields = {"guid": guid(3), "stage": "create"}
    async with acting_board(database, prefect_api=nowhere) as cut_off:  # from the beginning
        answer = await cut_off.get("/act/skip", params=fields, headers=HTML)
        assert answer.status_code == 503 and "Prefect is away" in answer.text
        assert "-100003&amp;stage=create" in answer.text
    hidden = await opened(board, f"/act/skip?guid={guid(3)}&stage=create")
    transport = board._transport
    assert isinstance(transport, httpx.ASGITransport)
    state = transport.app.state  # type: ignore[attr-defined]
    state.board = replace(state.board, config=replace(state.board.config, prefect_api=nowhere))
    answer = await pressed(board, "skip", hidden, **fields)
    assert answer.status_code == 503 and "Prefect cannot be reached just now" in answer.text
    assert f'value="{guid(3)}"' in answer.text and await _runs() == 0
