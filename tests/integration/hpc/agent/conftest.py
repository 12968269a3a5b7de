"""The packed agent, and a server of the agents' API that hands out a small runner."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpc.agent.processes import send_signal
from tests.support.agent_server import AgentServer, agent_server
from tests.support.agent_site import RUNNER
from tests.support.packed_agent import PackedAgent, packed_agent


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AgentServer]:
    """The server."""
    runner = tmp_path / "runner.pyz"
    runner.write_text(RUNNER)
    with agent_server(runner) as made:
        yield made


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[PackedAgent]:
    """The agent, before it has joined; what it started is ended after the test."""
    made = packed_agent(tmp_path / "agent")
    yield made
    end_children(made)


def end_children(agent: PackedAgent) -> None:
    """End all that an agent started and that is at work still."""
    for folder in (agent.root / "batches").glob("*"):
        send_signal(folder, None, signal.SIGKILL)
