"""A workstation's problem becomes one issue; what is not taken now is taken later."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.workstations import context
from api.workstations.app import WorkstationApi
from blocks.issue_tracker import IssueTracker
from blocks.issue_tracking import report_problem
from tests.support.issue_server import REPOSITORY, TOKEN, SmallIssueServer, limited_until, said
from tests.support.problems import problem
from tests.support.serving import free_port, serving
from tests.support.workstations import STATIONS, Station, refused, uploading


def reporting_to(url: str) -> dict[str, Any]:
    """The settings with which problems become issues at that address."""
    token = SecretStr(TOKEN)
    tracker = IssueTracker(api_url=url, repository=REPOSITORY, token=token)
    return {"report": partial(report_problem, tracker)}


@dataclass
class Tracked:
    """A workstation, and the tracker that its problems go to."""

    station: Station
    server: SmallIssueServer

    async def tell(self, **facts: Any) -> httpx.Response:
        return await tell(self.station, **facts)


async def tell(station: Station, **facts: Any) -> httpx.Response:
    body = problem(**facts).model_dump(mode="json")
    return await station.http.post("/problems", json=body, headers=station.headers)


@pytest.fixture
async def tracked(config: WorkstationApi) -> AsyncIterator[Tracked]:
    server = SmallIssueServer()
    async with (
        serving(server.app, free_port()) as url,
        uploading(replace(config, **reporting_to(url))) as station,
    ):
        yield Tracked(station, server)


async def test_a_problem_becomes_one_issue_however_often_it_is_told(tracked: Tracked) -> None:
    first = await tracked.tell()
    assert (first.status_code, len(tracked.server.issues)) == (202, 1)
    assert first.json()["issue"] == tracked.server.issues[1]["html_url"]
    issue = tracked.server.issues[1]
    assert "æble.tif" in issue["title"] + issue["body"]
    again = await tracked.tell()
    assert (again.status_code, again.json()) == (202, first.json())
    other = await tracked.tell(fingerprint="b" * 64)
    assert other.json()["issue"] == tracked.server.issues[2]["html_url"]
    assert len(tracked.server.issues) == 2


async def test_a_problem_of_a_login_needs_no_workstation(tracked: Tracked) -> None:
    assert (await tracked.tell(workstation="", step="login")).status_code == 202


async def test_nobody_tells_of_anothers_workstation_and_nobody_without_a_login(
    tracked: Tracked,
) -> None:
    refused(await tracked.tell(workstation=STATIONS[1]), 403, "not_your_workstation")
    tracked.station.headers = {}
    refused(await tracked.tell(), 401, "wrong_login")
    assert tracked.server.issues == {}


@pytest.mark.parametrize(
    "fault",
    [
        lambda: said(500, "Server Error"),
        lambda: said(401, "Bad credentials"),
        lambda: limited_until(40),
    ],
    ids=["broken", "token", "limit"],
)
async def test_a_tracker_that_cannot_take_it_now_is_told_later(
    tracked: Tracked, fault: Any
) -> None:
    tracked.server.refusing += [fault] * 10
    answer = await tracked.tell()
    refused(answer, 503, "try_later", "told later")
    assert int(answer.headers["retry-after"]) > 0
    assert TOKEN not in answer.text
    tracked.server.refusing.clear()
    assert (await tracked.tell()).status_code == 202
    assert len(tracked.server.issues) == 1


async def test_a_tracker_that_is_away_is_told_later(config: WorkstationApi) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with uploading(replace(config, **reporting_to(nowhere))) as station:
        answer = await tell(station)
        refused(answer, 503, "try_later", "told later")
        assert int(answer.headers["retry-after"]) > 0


async def test_what_the_tracker_will_never_take_is_refused_for_good(tracked: Tracked) -> None:
    tracked.server.refusing += [lambda: said(422, "Validation Failed")] * 10
    answer = await tracked.tell()
    refused(answer, 422, "bad_request")
    assert "retry-after" not in answer.headers


async def test_without_a_tracker_the_log_has_it(
    station: Station, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await tell(station)
    assert (answer.status_code, answer.json()) == (202, {"issue": ""})
    assert "drive_away: The server could not write æble.tif." in caplog.text


async def test_one_who_tells_too_often_waits_and_others_do_not(
    config: WorkstationApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "PROBLEMS_S", 1 / 1000)
    monkeypatch.setattr(context, "PROBLEMS_BURST", 3)
    async with uploading(config) as station:
        answers = [await tell(station) for _ in range(4)]
        assert [each.status_code for each in answers] == [202, 202, 202, 429]
        refused(answers[-1], 429, "try_later", "told later")
        assert int(answers[-1].headers["retry-after"]) > 0
        other = await Station(station.http, station.drive, STATIONS[1]).log_in("Bo")
        assert (await tell(other, workstation=STATIONS[1])).status_code == 202


@pytest.mark.parametrize(
    "wrong",
    [{"summary": "x" * 201}, {"details": "x" * 8001}, {"fingerprint": "x"}, {"step": "x"}],
    ids=["summary", "details", "fingerprint", "step"],
)
async def test_what_is_no_problem_is_refused_by_field(
    station: Station, wrong: dict[str, str]
) -> None:
    body = problem().model_dump(mode="json") | wrong
    answer = await station.http.post("/problems", json=body, headers=station.headers)
    refused(answer, 422, "bad_request", next(iter(wrong)))
