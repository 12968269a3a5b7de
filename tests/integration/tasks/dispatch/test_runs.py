"""Runs are made however Prefect answers, or whoever waits for them is told that they are not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from prefect import flow
from prefect.settings import PREFECT_API_URL, temporary_settings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from schemas.backoff import Backoff
from schemas.pace import Pace
from tasks.dispatch import runs as module
from tasks.dispatch.runs import Runs
from tests.support.serving import free_port, serving
from track.jobs.claims import Claim

PATIENCE_S = 30


@flow(name="module")
async def work(claim: Claim) -> None:
    """Stands for any flow of ours."""


@dataclass
class Odd:
    """A server at Prefect's address, whose answers for the runs in `odd` nobody would expect."""

    port: int = field(default_factory=free_port)
    odd: tuple[str, ...] = ()
    made: list[str] = field(default_factory=list)

    async def answer(self, request: Request) -> JSONResponse:
        if request.method == "GET":  # for a token against forgery
            return JSONResponse("CSRF protection is disabled.", status_code=422)
        if request.url.path != "/api/flow_runs/":
            return JSONResponse({"id": str(uuid4())})
        body = await request.json()
        if body["name"] in self.odd:
            return JSONResponse({"odd": True})
        self.made.append(body["name"])
        return JSONResponse({"id": str(uuid4()), "state_type": "COMPLETED"})

    @asynccontextmanager
    async def here(self) -> AsyncIterator[None]:
        """Prefect is there, for as long as the block lasts."""
        app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST"])])
        async with serving(app, self.port):
            yield


@asynccontextmanager
async def making(prefect: Odd, *, wave: int = 1, jobs: int = 3) -> AsyncIterator[Runs]:
    """Runs of jobs that are over, made by one worker."""
    found = Runs(uuid4(), Pace(runs_at_once=1))
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{prefect.port}/api"}):
        found.start()
        for n in range(jobs):
            claim = Claim(n, f"g{n}", "ocr", "module", "ocr", "P", None, 1, wave, False)
            over = asyncio.ensure_future(work.fn(claim))
            await over
            found.add(claim, work, over)
        yield found
        await found.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AWAY", Backoff(0.01, 0.05))


async def test_an_answer_that_nobody_expects_is_logged_and_costs_no_other_its_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    prefect = Odd(odd=("g1 ocr",))
    async with prefect.here(), making(prefect):
        pass
    assert prefect.made == ["g0 ocr", "g2 ocr"]
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.getMessage() == "g1 ocr is not shown"
    assert record.exc_info is not None and isinstance(record.exc_info[1], KeyError)


async def test_runs_are_made_once_prefect_is_back(caplog: pytest.LogCaptureFixture) -> None:
    prefect = Odd()
    caplog.set_level("INFO", logger=module.__name__)
    async with making(prefect, wave=500), asyncio.timeout(PATIENCE_S):
        while caplog.text.count("cannot be shown yet") < 2:  # it is asked, and away
            await asyncio.sleep(0.01)
        async with prefect.here():
            while not prefect.made:
                await asyncio.sleep(0.01)
    assert prefect.made == ["ocr × 3"]


@pytest.mark.parametrize("wave", [1, 500], ids=["one run for each", "one for all"])
async def test_runs_that_are_given_up_are_counted_in_the_log(
    wave: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.5)
    async with making(Odd(), wave=wave):
        pass
    (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert record.getMessage() == (
        "Prefect is too slow or away: of 3 jobs no run is shown, of 0 not how they ended"
    )
