"""Problems of workstations become issues: one for each fingerprint while it is open.

Every report looks first and then acts, so that it may be made again whenever its answer was lost:
no issue and no comment is made twice, and nothing is counted twice. GitHub has no call that does
that by itself; reports of one process to one repository therefore go one after the other.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from blocks.issue_calls import IssueCalls, TrackedIssue
from blocks.issue_errors import IssuesDisabled, TrackerForbids
from blocks.issue_text import (
    IssueMemory,
    body_of,
    comment_of,
    day_marker,
    marker,
    title_of,
    updated,
)
from blocks.issue_tracker import PROBLEM_LABEL, IssueTracker
from schemas.problems import WorkstationProblem

MAX_KNOWN = 1_000
"""Issues whose numbers a process remembers."""


@dataclass(eq=False)
class _Known:
    """What a process knows of a repository: who reports to it now, and the issues of before.

    The list of issues may lack one for a moment that was made just now; asked for by its number
    it is there.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    numbers: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def remember(self, fingerprint: str, number: int) -> None:
        self.numbers[fingerprint] = number
        self.numbers.move_to_end(fingerprint)
        if len(self.numbers) > MAX_KNOWN:
            self.numbers.popitem(last=False)


_known: dict[asyncio.AbstractEventLoop, dict[tuple[str, str], _Known]] = {}


def _known_of(tracker: IssueTracker) -> _Known:
    """What is known of its repository in this event loop, which locks belong to."""
    for ended in [loop for loop in _known if loop.is_closed()]:
        del _known[ended]
    repositories = _known.setdefault(asyncio.get_running_loop(), {})
    address = (tracker.api_url.rstrip("/"), tracker.repository.lower())
    return repositories.setdefault(address, _Known())


async def report_problem(
    tracker: IssueTracker, problem: WorkstationProblem, *, now: datetime | None = None
) -> str:
    """Have the problem told in an issue; the issue's address. The same report may be made again.

    An open issue of the fingerprint is counted up, and gets a comment unless it has one of today
    (UTC; `now` stands in for the clock). Raises TrackerError, which says whether a retry helps.
    """
    known = _known_of(tracker)
    async with known.lock, IssueCalls(tracker) as calls:
        issue = await _find(calls, problem.fingerprint, known)
        if issue is None:
            body = body_of(problem, IssueMemory.new(problem))
            labels = list(dict.fromkeys([PROBLEM_LABEL, *tracker.labels]))
            issue = await calls.create(title_of(problem), body, labels)
        else:
            await _count(calls, issue, problem, now or datetime.now(UTC))
        known.remember(problem.fingerprint, issue.number)
        return issue.html_url


async def check_tracker(tracker: IssueTracker) -> str:
    """The name of the repository, which is reachable and has issues. Raises TrackerError."""
    async with IssueCalls(tracker) as calls:
        found = await calls.repository()
    if not found.has_issues:
        raise IssuesDisabled(f"enable issues in the settings of '{found.full_name}'")
    if found.archived:
        raise TrackerForbids(f"'{found.full_name}' is archived: nobody can write there")
    return found.full_name


async def _find(calls: IssueCalls, fingerprint: str, known: _Known) -> TrackedIssue | None:
    """The open issue of a fingerprint: among those we know, that have our label, or we made.

    A person may have taken the label away, and a token without the right to set labels has them
    left out; of issues without it we believe only our own, since anybody may write our marker.
    """
    if (number := known.numbers.get(fingerprint)) is not None:
        issue = await calls.issue(number)
        if issue is not None and issue.state == "open" and _is_of(issue, fingerprint):
            return issue
    async for issue in calls.open_issues(labels=PROBLEM_LABEL):
        if _is_of(issue, fingerprint):
            return issue
    if (account := await calls.account()) is not None:
        async for issue in calls.open_issues(creator=account.login):
            if _is_of(issue, fingerprint):
                return issue
    return None


def _is_of(issue: TrackedIssue, fingerprint: str) -> bool:
    return marker(fingerprint) in (issue.body or "")


async def _count(
    calls: IssueCalls, issue: TrackedIssue, problem: WorkstationProblem, now: datetime
) -> None:
    """Count the problem in its issue and comment on it, unless both are done already.

    The comment comes first: until the issue remembers it, whoever reports again looks for it.
    """
    body = issue.body or ""
    memory = IssueMemory.read(body, problem)
    if not memory.count(problem):
        return
    today = now.astimezone(UTC).date()
    if memory.commented_on != today and not issue.locked:
        mark = day_marker(problem.fingerprint, today)
        if not await _has_comment(calls, issue.number, mark, now):
            await calls.comment(issue.number, comment_of(problem, memory, today))
        memory.commented_on = today
    await calls.edit(issue.number, updated(body, problem, memory))


async def _has_comment(calls: IssueCalls, number: int, mark: str, now: datetime) -> bool:
    # A day more, since GitHub's clock is another.
    async for comment in calls.comments(number, now - timedelta(days=2)):
        if mark in (comment.body or ""):
            return True
    return False
