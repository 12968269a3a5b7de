"""What happened is told until it was taken, in its order, and each thing by itself."""

import hashlib
import json
from typing import Any

import pytest

from hpc.agent import reports
from hpc.agent.background import BackgroundCalls
from hpc.agent.outputs import OutputSender
from hpc.agent.pauses import GrowingPause
from hpc.agent.reports import Reporter
from hpc.agent.server import ServerLink, ShutOut
from hpc.agent.start_faults import StartFaults
from tests.support.agent_server import AgentServer
from tests.support.agent_site import AgentSite


def leave(site: AgentSite, attempt: int, verb: str = "complete", **result: Any) -> None:
    """Leave an outcome as a runner does."""
    body = {"native_id": "b1", "nonce": "n", "result": {"usage": {}, **result}}
    text = json.dumps({"path": f"/attempts/{attempt}/{verb}", "body": body})
    (site.folders.of("b1") / "results" / f"{attempt}.json").write_text(text)


def begin(site: AgentSite, attempt: int) -> None:
    """Have a job begin an attempt."""
    mine = site.folders.of("b1") / "started" / str(attempt)
    mine.mkdir()
    (mine / "by").write_text(json.dumps({"native_id": "9[0]", "nonce": "n"}))


def told(server: AgentServer) -> list[str]:
    return [message["path"].removeprefix("/attempts/") for message in server.messages]


@pytest.fixture
def reporter(site: AgentSite, link: ServerLink) -> Reporter:
    return Reporter(link, site.folders, site.journal, StartFaults(site.home))


def again(reporter: Reporter) -> None:
    """Another turn, whose time has come."""
    reporter.pause = GrowingPause()
    reporter.turn()


def test_an_outcome_is_told_once_and_its_file_set_aside(
    site: AgentSite, server: AgentServer, reporter: Reporter
) -> None:
    batch = site.claim("b1", ["g1", "g2"])
    leave(site, 1)
    for _ in range(3):
        again(reporter)
    assert told(server) == ["1/complete"]
    assert [each.attempt for each in batch.open] == [2]
    assert [each.name for each in (site.folders.of("b1") / "results").iterdir()] == ["1.taken"]


def test_what_was_not_answered_is_told_again_by_the_next_run_too(
    site: AgentSite, server: AgentServer, link: ServerLink, reporter: Reporter
) -> None:
    site.claim("b1", ["g1"])
    leave(site, 1)
    server.ill["messages"] = ["lost", 503, b"HTTP/1.1 200 OK\r\n\r\n<html>", 302]
    for _ in range(4):
        again(reporter)
    assert told(server) == ["1/complete"], "it was done, and the answer lost"
    reopened = site.reopened()
    again(Reporter(link, reopened.folders, reopened.journal, StartFaults(reopened.home)))
    assert told(server) == ["1/complete"] * 2
    assert reopened.journal.held.batches["b1"].open == []


def test_who_started_a_job_is_told_before_its_outcome(
    site: AgentSite, server: AgentServer, reporter: Reporter
) -> None:
    site.claim("b1", ["g1", "g2"], launcher="scheduler")
    begin(site, 1)
    reporter.turn()
    leave(site, 1)
    begin(site, 2)
    leave(site, 2)
    again(reporter)
    assert told(server) == ["1/start", "1/complete", "2/start", "2/complete"]


def test_an_end_without_a_result_says_whether_it_was_at_work(
    site: AgentSite, server: AgentServer, reporter: Reporter
) -> None:
    site.claim("b1", ["g1", "g2"])
    begin(site, 1)
    end = {"state": "failed", "exit_code": 3}
    site.journal.append("ended", key="b1", ends={"1": end, "2": end}, state="over")
    reporter.turn()
    bodies = [message["body"] for message in server.messages]
    assert [(body["started"], body["exit_code"]) for body in bodies] == [(True, 3), (False, 3)]
    assert [body["native_id"] for body in bodies] == ["9[0]", "b1"]


def test_a_result_wins_over_an_end(
    site: AgentSite, server: AgentServer, reporter: Reporter
) -> None:
    site.claim("b1", ["g1"])
    site.journal.append("ended", key="b1", ends={"1": {"state": "unknown"}}, state="over")
    leave(site, 1)
    reporter.turn()
    assert told(server) == ["1/complete"]


def test_a_result_that_is_not_taken_becomes_a_failure_with_the_reason(
    site: AgentSite, server: AgentServer, reporter: Reporter
) -> None:
    batch = site.claim("b1", ["g1"])
    leave(site, 1)
    server.statuses["complete"] = 422
    again(reporter)
    again(reporter)
    assert told(server) == ["1/complete", "1/fail"]
    assert "as ordered" in server.messages[-1]["body"]["message"]
    assert batch.open == []


def test_one_that_is_another_agents_by_now_is_dropped_and_others_go_on(
    site: AgentSite, server: AgentServer, reporter: Reporter
) -> None:
    batch = site.claim("b1", ["g1", "g2"])
    leave(site, 1)
    leave(site, 2, verb="fail")
    server.statuses["complete"] = 409
    reporter.turn()
    again(reporter)
    assert told(server) == ["1/complete", "2/fail"]
    assert batch.open == []


def test_what_is_too_large_together_is_told_in_parts(
    site: AgentSite,
    server: AgentServer,
    reporter: Reporter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reports, "MAX_BYTES", 2000)
    site.claim("b1", [f"g{n}" for n in range(9)])
    for attempt in range(1, 10):
        leave(site, attempt, details={"text": "x" * (3000 if attempt == 5 else 500)})
    server.ill["messages"] = [413]
    reporter.turn()
    assert told(server) == [f"{n}/complete" for n in range(1, 10)]
    assert len(server.bodies("messages")) > 4


def test_a_result_that_cannot_be_read_is_set_aside_and_its_end_told(
    site: AgentSite, server: AgentServer, reporter: Reporter
) -> None:
    site.claim("b1", ["g1"])
    (site.folders.of("b1") / "results" / "1.json").write_text('{"path": ')
    reporter.turn()
    assert told(server) == []
    site.journal.append("ended", key="b1", ends={}, state="over")
    again(reporter)
    assert told(server) == ["1/ended"]


def test_a_token_that_does_not_count_ends_it(
    site: AgentSite, server: AgentServer, reporter: Reporter
) -> None:
    site.claim("b1", ["g1"])
    leave(site, 1)
    server.tokens.clear()
    with pytest.raises(ShutOut, match="not valid"):
        reporter.turn()
    assert site.reopened().journal.held.batches["b1"].open


def finished(site: AgentSite, reporter: Reporter, content: bytes = b"made") -> None:
    """A batch whose one result listed an output that lies on the disk."""
    site.claim("b1", ["g1"])
    path = site.folders.asset("g1", "a/made.txt")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    listed = {"path": "a/made.txt", "size_bytes": len(content), "sha256": digest}
    leave(site, 1, outputs=[listed])
    reporter.turn()


def sender(site: AgentSite, link: ServerLink) -> OutputSender:
    calls = BackgroundCalls(lambda: None, inline=True)
    return OutputSender(link, site.folders, site.journal, calls)


def waiting(site: AgentSite) -> int:
    return sum(len(member.outputs) for member in site.journal.held.members())


def test_outputs_are_sent_until_they_were_taken(
    site: AgentSite, server: AgentServer, link: ServerLink, reporter: Reporter
) -> None:
    finished(site, reporter)
    server.ill["outputs"] = [503, "lost"]
    for _ in range(2):
        sender(site, link).turn()
        assert waiting(site) == 1
    reopened = site.reopened()
    sender(reopened, link).turn()
    assert list(server.outputs.values()) == [b"made"]
    assert waiting(reopened) == 0


def test_one_turn_sends_all_of_them(
    site: AgentSite, server: AgentServer, link: ServerLink, reporter: Reporter
) -> None:
    site.claim("b1", ["g1"])
    listed = []
    for n in range(5):
        path = site.folders.asset("g1", f"{n}.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(n))
        digest = hashlib.sha256(str(n).encode()).hexdigest()
        listed.append({"path": f"{n}.txt", "size_bytes": 1, "sha256": digest})
    leave(site, 1, outputs=listed)
    reporter.turn()
    sender(site, link).turn()
    assert (len(server.outputs), waiting(site)) == (5, 0)


def test_an_output_that_nobody_waits_for_is_let_go_without_a_word(
    site: AgentSite, server: AgentServer, link: ServerLink, reporter: Reporter
) -> None:
    finished(site, reporter)
    server.ill["outputs"] = [409]
    sender(site, link).turn()
    assert (waiting(site), told(server)) == (0, ["1/complete"])


@pytest.mark.parametrize("how", ["gone", "shorter", "refused"])
def test_an_output_that_cannot_come_any_more_is_told(
    how: str, site: AgentSite, server: AgentServer, link: ServerLink, reporter: Reporter
) -> None:
    finished(site, reporter)
    path = site.folders.asset("g1", "a/made.txt")
    if how == "gone":
        path.unlink()
    elif how == "shorter":
        path.write_bytes(b"mad")
    else:
        server.ill["outputs"] = [422]
    sender(site, link).turn()
    assert (waiting(site), told(server)) == (0, ["1/complete", "1/missing"])
    assert "a/made.txt" in server.messages[-1]["body"]["why"]
