"""The packed agent at work for a server that plays the refinery, on the oldest Python there is."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from hpc.agent.start_faults import IN_A_ROW
from tests.support.agent_server import AgentServer
from tests.support.agent_site import until
from tests.support.packed_agent import PackedAgent


@contextmanager
def running(agent: PackedAgent) -> Iterator["subprocess.Popen[str]"]:
    """The agent as a process, told to end afterwards."""
    process = agent.start()
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)


def test_it_takes_work_and_reports_it_and_removes_what_is_not_wanted(
    agent: PackedAgent, server: AgentServer
) -> None:
    assert agent.join(server).returncode == 0
    with running(agent):
        server.add_batch("b1", [1, 2], kind="good")
        until(lambda: server.told("complete") == [1, 2])
        server.add_batch("b2", [3], kind="good")
        until(lambda: server.told("complete") == [1, 2, 3])
        server.kept.update(b1="remove", b2="remove")
        until(lambda: list((agent.root / "batches").iterdir()) == [])


def test_no_more_is_taken_than_there_are_units_for(agent: PackedAgent, server: AgentServer) -> None:
    agent.join(server)
    for n in range(4):
        server.add_batch(f"b{n}", [n + 1], kind="slow")
    with running(agent):
        until(lambda: len(agent.work()) == 2)
        server.news = {"capacity": {"process": 3, "scheduler": 0}}
        until(lambda: len(agent.work()) == 3)
        assert len(server.queue) == 1
        (agent.root / "go-on").touch()
        until(lambda: len(server.told("complete")) == 4)


def test_a_heartbeat_is_not_held_up_by_a_claim_that_waits(
    agent: PackedAgent, server: AgentServer
) -> None:
    agent.join(server)
    server.ill["claim"] = [lambda handler: handler.connection.recv(1)]  # never answered
    with running(agent):
        until(lambda: len(server.bodies("heartbeat")) > 5)
        assert server.bodies("claim") == []


def test_what_was_cancelled_is_stopped_and_said_so(agent: PackedAgent, server: AgentServer) -> None:
    agent.join(server)
    server.add_batch("b1", [1, 2], kind="slow")
    with running(agent):
        until(lambda: agent.work() == [1])
        server.orders.update({1: "cancel", 2: "cancel"})
        until(lambda: sorted(server.told("ended")) == [1, 2])
    states = [message["body"]["state"] for message in server.messages]
    assert set(states) == {"cancelled"}
    assert agent.work() == [1]


def test_while_nobody_answers_work_goes_on_and_its_results_are_kept(
    agent: PackedAgent, server: AgentServer
) -> None:
    agent.join(server)
    server.add_batch("b1", [1], kind="slow")
    with running(agent) as process:
        until(lambda: agent.work() == [1])
        for verb in ("heartbeat", "messages", "claim"):
            server.ill[verb] = [b"nothing of HTTP"] * 1000
        (agent.root / "go-on").touch()
        result = agent.root / "batches" / "b1" / "results" / "1.json"
        until(result.exists)
        assert process.poll() is None
        server.add_batch("b2", [2], kind="good")
        server.ill.clear()
        until(lambda: server.told("complete") == [1, 2], seconds=60)


def test_told_to_stop_it_ends_once_nothing_is_held(agent: PackedAgent, server: AgentServer) -> None:
    agent.join(server)
    server.add_batch("b1", [1], kind="good")
    with running(agent) as process:
        until(lambda: server.told("complete") == [1])
        server.news = {"order": "stop"}
        until(lambda: "stop" in (agent.home / "contact.json").read_text())
        server.add_batch("b2", [2], kind="good")
        server.kept["b1"] = "remove"
        said, _ = process.communicate(timeout=30)
    assert (process.returncode, "nothing is held" in said) == (0, True)
    assert len(server.queue) == 1


def test_where_nothing_begins_no_more_is_taken_and_what_was_is_given_back(
    agent: PackedAgent, server: AgentServer
) -> None:
    assert server.runner is not None
    server.runner.write_text("raise SystemExit('ImportError: no numpy')")
    agent.join(server)
    server.news = {"capacity": {"process": 1, "scheduler": 0}}
    for n in range(IN_A_ROW + 1):
        server.add_batch(f"b{n}", [n + 1])
    trouble = "jobs end here before they begin, the last with exit code 1: ImportError: no numpy"
    with running(agent):
        until(
            lambda: any(
                body["load"].get("trouble") == trouble for body in server.bodies("heartbeat")
            )
        )
        assert f"takes no work: {trouble}" in agent.run("run", "--status").stdout
    ends = [each["body"] for each in server.messages]
    assert [each["state"] for each in ends[:IN_A_ROW]] == ["failed"] * IN_A_ROW
    assert len(server.queue) == 1 or ends[IN_A_ROW]["state"] == "node_fail"


def test_it_is_told_to_join_again_in_one_line_when_it_was_declared_gone(
    agent: PackedAgent, server: AgentServer
) -> None:
    agent.join(server)
    server.ill["heartbeat"] = [410]
    with running(agent) as process:
        said, _ = process.communicate(timeout=30)
    assert process.returncode == os.EX_NOPERM
    assert "declared gone" in said
    assert "join again" in said


def test_a_token_changes_while_it_works(agent: PackedAgent, server: AgentServer) -> None:
    agent.join(server)
    (first,) = server.tokens
    server.add_batch("b1", [1], kind="good")
    server.news = {"rotate": True}
    with running(agent):
        until(lambda: len(server.tokens) > 1)
        server.news = {}
        until(lambda: not (agent.home / "token.new").exists())
        server.tokens.discard(first)
        until(lambda: server.told("complete") == [1])


def test_without_a_network_it_says_so_and_ends_with_a_code(
    agent: PackedAgent, server: AgentServer
) -> None:
    agent.join(server)
    server.ill["heartbeat"] = [503]
    done = agent.run("run", "--once")
    assert (done.returncode, "no answer" in done.stderr) == (69, True)
    assert server.bodies("claim") == []


def test_a_dry_run_and_a_status_ask_and_change_nothing(
    agent: PackedAgent, server: AgentServer
) -> None:
    agent.join(server)
    server.add_batch("b1", [1], kind="slow")
    assert agent.run("run", "--once").returncode == 0
    before = (agent.home / "journal.jsonl").read_bytes()
    asked = len(server.asked)
    plan, status = agent.run("run", "--dry-run"), agent.run("run", "--status")
    assert (plan.returncode, status.returncode) == (0, 0)
    assert "1 units of process" in plan.stdout
    assert "b1: 1 of stage load by process, is at work, 1 to be reported" in status.stdout
    assert "does not run now" in status.stdout
    assert (agent.home / "journal.jsonl").read_bytes() == before
    assert len(server.asked) == asked
