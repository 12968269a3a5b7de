"""Killed at any line of its journal, the agent loses nothing, and does nothing twice."""

from pathlib import Path

import pytest

from tests.integration.hpc.agent.conftest import end_children
from tests.support.agent_server import AgentServer
from tests.support.agent_site import until
from tests.support.packed_agent import PackedAgent, dying_agent

KILLED, DONE = 9, 0
NEVER = "1000000"
LINES = 9
"""Those of a batch's life: the claim and what it gave, the launch and its outcome, the end of the
runner, two reports, an output that was sent, the removal."""


def live(agent: PackedAgent, server: AgentServer, dies: str, at: str) -> int:
    """One turn after another until a batch is told and its folder gone; how often it was killed."""
    killed = 0

    def is_over() -> bool:
        nonlocal killed
        if len(server.told("complete")) >= 2 and len(server.outputs) == 1:
            server.kept["b1"] = "remove"
        done = agent.run("run", "--once", DIES=dies, DIES_AT=at)
        assert done.returncode in (KILLED, DONE), done.stderr
        killed += done.returncode == KILLED
        return bool(server.kept) and not (agent.root / "batches" / "b1").exists()

    until(is_over, seconds=60)
    return killed


@pytest.mark.parametrize("dies", ["before", "after"])
@pytest.mark.parametrize("at", range(1, LINES + 1))
def test_a_kill_at_a_line_loses_nothing_and_does_nothing_twice(
    at: int, dies: str, tmp_path: Path, server: AgentServer
) -> None:
    agent = dying_agent(tmp_path / "agent")
    try:
        assert agent.join(server).returncode == 0
        batch = server.add_batch("b1", [1, 2], kind="good")
        batch["members"][1]["line"]["guid"] = "makes-2"
        assert live(agent, server, dies, str(at)) == 1
    finally:
        end_children(agent)
    assert (agent.root / "work.log").read_text().split() == ["1", "2"]
    assert set(server.told("complete")) == {1, 2}
    assert server.told("ended") == []
    assert list(server.outputs.values()) == [b"makes-2"]
    assert len(server.given) == 1, "what was given once is asked for again, and no more"


def test_there_are_as_many_lines_as_are_tried(tmp_path: Path, server: AgentServer) -> None:
    agent = dying_agent(tmp_path / "agent")
    assert agent.join(server).returncode == 0
    batch = server.add_batch("b1", [1, 2], kind="good")
    batch["members"][1]["line"]["guid"] = "makes-2"
    assert live(agent, server, "never", NEVER) == 0
    idle = 2 * len(
        [claim for claim in server.bodies("claim") if claim["request_id"] not in server.given]
    )
    assert len((tmp_path / "agent" / "counter").read_text()) - idle == LINES
