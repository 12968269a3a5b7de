"""Reports to a tracker over HTTP: one issue each, whatever is lost, refused or asked at once."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from blocks import issue_calls
from blocks.issue_errors import (
    IssueRefused,
    IssuesDisabled,
    NoTrackerRepository,
    TrackerAway,
    TrackerError,
    TrackerForbids,
    TrackerLimited,
    TrackerTokenRefused,
)
from blocks.issue_text import IssueMemory, body_of, marker
from blocks.issue_tracker import PROBLEM_LABEL, IssueTracker
from blocks.issue_tracking import _known, check_tracker, report_problem
from schemas.problems import WorkstationProblem
from tests.support.issue_server import (
    LOGIN,
    REPOSITORY,
    TOKEN,
    SmallIssueServer,
    limited_until,
    said,
)
from tests.support.problems import problem
from tests.support.serving import free_port, serving

TODAY = datetime.now(UTC)


class Tracked:
    """A tracker and what is there."""

    def __init__(self, server: SmallIssueServer, url: str) -> None:
        self.server = server
        self.block = IssueTracker(api_url=url, repository=REPOSITORY, token=SecretStr(TOKEN))

    async def report(self, *problems: WorkstationProblem, now: datetime = TODAY) -> list[str]:
        return [await report_problem(self.block, each, now=now) for each in problems]

    def memory(self, number: int = 1) -> IssueMemory:
        return IssueMemory.read(self.server.issues[number]["body"], problem())

    def forget(self) -> None:
        """As a process does that ends."""
        _known.clear()


@pytest.fixture
async def tracked() -> AsyncIterator[Tracked]:
    server = SmallIssueServer()
    async with serving(server.app, free_port()) as url:
        yield Tracked(server, url)


def at(minutes: int) -> WorkstationProblem:
    return problem(occurred_at=TODAY + timedelta(minutes=minutes))


async def test_three_reports_of_one_fingerprint_are_one_issue_and_one_comment_a_day(
    tracked: Tracked,
) -> None:
    urls = await tracked.report(at(0), at(1), at(2))
    assert set(urls) == {f"https://github.com/{REPOSITORY}/issues/1"}
    (issue,) = tracked.server.issues.values()
    assert issue["labels"] == [PROBLEM_LABEL] and "| times | 3 |" in issue["body"]
    assert tracked.memory().times == 3 and len(tracked.server.comments[1]) == 1
    await tracked.report(at(3), at(4), now=TODAY + timedelta(days=1))
    assert tracked.memory().times == 5 and len(tracked.server.comments[1]) == 2


async def test_another_fingerprint_is_another_issue_and_has_the_labels_that_are_set(
    tracked: Tracked,
) -> None:
    tracked.block = tracked.block.model_copy(update={"labels": ["urgent", PROBLEM_LABEL]})
    await tracked.report(problem(), problem(fingerprint="b" * 64))
    assert len(tracked.server.issues) == 2
    assert tracked.server.issues[2]["labels"] == [PROBLEM_LABEL, "urgent"]


async def test_many_at_once_are_one_issue_that_counts_them_all(tracked: Tracked) -> None:
    names = [f"WORK{n}" for n in range(8)]
    made = (report_problem(tracked.block, problem(workstation=name)) for name in names)
    assert len(set(await asyncio.gather(*made))) == 1
    assert (len(tracked.server.issues), tracked.memory().times) == (1, 8)
    assert sorted(tracked.memory().workstations) == names


@pytest.mark.parametrize("forgotten", [True, False])
async def test_a_creation_whose_answer_is_lost_is_found_and_not_made_again(
    tracked: Tracked, forgotten: bool
) -> None:
    tracked.server.losing.append(("POST", "/issues"))
    with pytest.raises(TrackerAway, match="the next try looks first") as lost:
        await tracked.report(problem())
    assert lost.value.retry_after and len(tracked.server.issues) == 1
    if forgotten:
        tracked.forget()
    await tracked.report(problem())
    assert (len(tracked.server.issues), tracked.memory().times) == (1, 1)


@pytest.mark.parametrize(("method", "end"), [("POST", "/comments"), ("PATCH", "/issues/1")])
async def test_a_comment_or_a_count_whose_answer_is_lost_is_not_made_twice(
    tracked: Tracked, method: str, end: str
) -> None:
    await tracked.report(at(0))
    tracked.server.losing.append((method, end))
    with pytest.raises(TrackerAway):
        await tracked.report(at(1))
    tracked.forget()
    await tracked.report(at(1))
    assert (tracked.memory().times, len(tracked.server.comments[1])) == (2, 1)


async def test_no_answer_in_time_is_one_that_is_lost(
    tracked: Tracked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issue_calls, "CALL_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it never accepts
        away = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(TrackerAway):
            await report_problem(tracked.block.model_copy(update={"api_url": away}), problem())


async def test_a_report_that_was_folded_since_it_was_counted_adds_what_is_new(
    tracked: Tracked,
) -> None:
    await tracked.report(problem(times=2), problem(times=5), problem(times=5))
    assert tracked.memory().times == 5


async def test_an_issue_beyond_the_first_hundreds_is_found(tracked: Tracked) -> None:
    body = body_of(problem(), IssueMemory.new(at(-9)))
    tracked.server.add(body, PROBLEM_LABEL)
    for n in range(250):
        tracked.server.add(f"<!-- problem {n:064d} -->", PROBLEM_LABEL)
    urls = await tracked.report(problem())
    assert urls == [f"https://github.com/{REPOSITORY}/issues/1"]
    assert len(tracked.server.issues) == 251 and tracked.server.asked("GET", "/issues") == 3


async def test_a_comment_beyond_the_first_hundred_is_found(tracked: Tracked) -> None:
    await tracked.report(at(0))
    for n in range(120):
        tracked.server.comments[1].append({"body": f"{n}", "updated_at": TODAY.isoformat()})
    tracked.server.losing.append(("POST", "/comments"))
    with pytest.raises(TrackerAway):
        await tracked.report(at(1))
    await tracked.report(at(1))
    assert len(tracked.server.comments[1]) == 121


async def test_an_issue_that_the_list_lacks_yet_is_found_by_its_number(tracked: Tracked) -> None:
    await tracked.report(at(0))
    tracked.server.unlisted.add(1)
    await tracked.report(at(1))
    assert (len(tracked.server.issues), tracked.memory().times) == (1, 2)


async def test_an_issue_that_was_deleted_is_made_anew(tracked: Tracked) -> None:
    await tracked.report(at(0))
    del tracked.server.issues[1]
    await tracked.report(at(1))
    assert len(tracked.server.issues) == 1


async def test_closed_issues_and_pull_requests_are_not_counted_up(tracked: Tracked) -> None:
    await tracked.report(at(0))
    tracked.server.issues[1]["state"] = "closed"
    tracked.server.add(marker(problem().fingerprint), PROBLEM_LABEL, pull_request={"url": "x"})
    await tracked.report(at(1))
    assert (len(tracked.server.issues), tracked.memory(3).times) == (3, 1)


async def test_a_label_that_a_person_took_away_or_that_may_not_be_set_makes_no_second_issue(
    tracked: Tracked,
) -> None:
    tracked.server.may_label = False
    for n in range(3):
        tracked.forget()
        await tracked.report(at(n))
    assert (len(tracked.server.issues), tracked.memory().times) == (1, 3)
    assert tracked.server.issues[1]["labels"] == []


async def test_the_marker_in_a_strangers_issue_is_not_believed(tracked: Tracked) -> None:
    tracked.server.add(marker(problem().fingerprint), login="stranger")
    await tracked.report(problem())
    assert tracked.server.issues[2]["user"]["login"] == LOGIN


async def test_an_app_that_has_no_account_reports_too(tracked: Tracked) -> None:
    tracked.server.is_app = True
    await tracked.report(at(0), at(1))
    assert (len(tracked.server.issues), tracked.memory().times) == (1, 2)


async def test_what_people_write_into_an_issue_stays(tracked: Tracked) -> None:
    await tracked.report(at(0))
    issue = tracked.server.issues[1]
    issue["body"] = f"Ask Bo.\r\n{issue['body']}\r\nIt is the cable."
    await tracked.report(at(1))
    lines = issue["body"].split("\n")
    assert (lines[0], lines[-1]) == ("Ask Bo.", "It is the cable.")
    assert tracked.memory().times == 2 and issue["body"].count("<!-- counted") == 1


async def test_an_issue_whose_count_a_person_damaged_counts_anew(tracked: Tracked) -> None:
    await tracked.report(at(0))
    issue = tracked.server.issues[1]
    issue["body"] = issue["body"].replace("<!-- counted {", "<!-- counted {x")
    await tracked.report(at(1))
    assert (len(tracked.server.issues), tracked.memory().times) == (1, 1)


async def test_a_locked_issue_is_counted_up_without_a_comment(tracked: Tracked) -> None:
    await tracked.report(at(0))
    tracked.server.issues[1]["locked"] = True
    await tracked.report(at(1))
    assert (tracked.memory().times, tracked.server.comments[1]) == (2, [])


async def test_a_limit_says_after_how_many_seconds_it_is_over(tracked: Tracked) -> None:
    server, limits = tracked.server, []
    server.refusing += [
        lambda: limited_until(1_200),
        lambda: said(429, "slower", retry_after="77"),
        lambda: said(403, "You have exceeded a secondary rate limit."),
        lambda: limited_until(9_999),
        lambda: limited_until(-9),
    ]
    for _ in range(5):
        with pytest.raises(TrackerLimited) as limited:
            await tracked.report(problem())
        limits.append(limited.value.retry_after or 0.0)
    assert 1_100 < limits[0] <= 1_201 and limits[1:] == [77.0, 60.0, 3_600.0, 1.0]
    await tracked.report(problem())
    assert len(server.issues) == 1


async def refused(tracked: Tracked, **block: object) -> TrackerError:
    tracker = tracked.block.model_copy(update=block)
    with pytest.raises(TrackerError) as error:
        await report_problem(tracker, problem())
    assert TOKEN not in str(error.value) and not tracked.server.issues
    return error.value


async def test_a_bad_token_or_repository_names_the_setting_to_correct(tracked: Tracked) -> None:
    error = await refused(tracked, token=SecretStr("ghp_wrong"))
    assert isinstance(error, TrackerTokenRefused) and "issue_tracker_token" in str(error)
    error = await refused(tracked, repository="snm/other")
    assert isinstance(error, NoTrackerRepository) and "issue_tracker_repository" in str(error)
    assert error.needs_operator and error.retry_after
    tracked.server.refusing.append(lambda: said(301, "Moved Permanently", location="/x"))
    assert "has moved" in str(await refused(tracked))


async def test_a_repository_without_issues_or_one_that_is_archived_is_named(
    tracked: Tracked,
) -> None:
    tracked.server.archived = True
    error = await refused(tracked)
    assert isinstance(error, TrackerForbids) and "archived" in str(error)
    with pytest.raises(TrackerForbids, match="is archived"):
        await check_tracker(tracked.block)
    tracked.server.has_issues = False
    error = await refused(tracked)
    assert isinstance(error, IssuesDisabled) and error.needs_operator
    with pytest.raises(IssuesDisabled, match="enable issues"):
        await check_tracker(tracked.block)


async def test_what_a_proxy_says_is_no_answer_and_what_github_refuses_is_final(
    tracked: Tracked,
) -> None:
    tracked.server.refusing.append(lambda: said(200, "please log in"))
    assert isinstance(await refused(tracked), TrackerAway)
    tracked.server.refusing.append(lambda: said(502, "Bad Gateway"))
    assert isinstance(await refused(tracked), TrackerAway)
    tracked.server.refusing.append(lambda: said(422, "Validation Failed"))
    error = await refused(tracked)
    assert isinstance(error, IssueRefused) and error.retry_after is None


async def test_a_tracker_that_is_well_is_reached_under_its_name(tracked: Tracked) -> None:
    assert await check_tracker(tracked.block) == REPOSITORY
