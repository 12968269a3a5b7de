"""A problem on its whole way: put at the workstation, sent, and one issue that counts it once."""

import asyncio
from pathlib import Path

from pydantic import SecretStr

from blocks.issue_errors import TrackerError
from blocks.issue_text import IssueMemory
from blocks.issue_tracker import IssueTracker
from blocks.issue_tracking import report_problem
from schemas.problems import WorkstationProblem
from tests.support.issue_server import REPOSITORY, TOKEN, SmallIssueServer, said
from tests.support.problems import problem
from tests.support.serving import free_port, served
from workstation.server.outbox import CannotSendNow, Outbox, OutboxResult, ProblemRejected


class Sender:
    """What the server's `POST /problems` and the client's sending do together."""

    def __init__(self, url: str) -> None:
        self.tracker = IssueTracker(api_url=url, repository=REPOSITORY, token=SecretStr(TOKEN))

    def post(self, sent: WorkstationProblem) -> None:
        try:
            asyncio.run(report_problem(self.tracker, sent))
        except TrackerError as error:
            kind = ProblemRejected if error.retry_after is None else CannotSendNow
            raise kind(str(error)) from error


def test_a_problem_whose_answer_was_lost_and_that_came_again_is_one_issue_of_two_times(
    tmp_path: Path,
) -> None:
    server, outbox = SmallIssueServer(), Outbox(tmp_path / "outbox")
    server.losing.append(("POST", "/issues"))
    with served(server.app, free_port()) as url:
        sender = Sender(url)
        outbox.put(problem())
        outbox.put(problem(fingerprint="b" * 64))
        first = outbox.send(sender.post)
        outbox.put(problem())
        second = outbox.send(sender.post)
    assert (first.sent, first.waiting) == (0, 2) and "does not answer" in first.why_waiting
    assert second == OutboxResult(sent=2, rejected=0, waiting=0)
    counts = {n: IssueMemory.read(i["body"], problem()).times for n, i in server.issues.items()}
    assert counts == {1: 2, 2: 1}


def test_a_problem_waits_while_the_token_is_bad_and_is_put_aside_when_github_refuses_it(
    tmp_path: Path,
) -> None:
    server, outbox = SmallIssueServer(), Outbox(tmp_path / "outbox")
    server.refusing += [lambda: said(401, "Bad credentials"), lambda: said(422, "Validation")]
    with served(server.app, free_port()) as url:
        sender = Sender(url)
        outbox.put(problem())
        waits = outbox.send(sender.post)
        refused = outbox.send(sender.post)
    assert (waits.waiting, refused.rejected, refused.waiting) == (1, 1, 0)
    assert "issue_tracker_token" in waits.why_waiting and not server.issues
