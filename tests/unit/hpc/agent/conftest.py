"""A site of an agent on this disk, and a server for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hpc.agent.https import HttpClient
from hpc.agent.server import ServerLink
from tests.support.agent_server import AgentServer, agent_server
from tests.support.agent_site import AgentSite, agent_site


@pytest.fixture
def site(tmp_path: Path) -> AgentSite:
    """A site without work."""
    return agent_site(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AgentServer]:
    """A server that knows one agent."""
    runner = tmp_path / "runner.pyz"
    runner.write_text("pass\n")
    with agent_server(runner) as made:
        made.tokens.add("7.token")
        yield made


@pytest.fixture
def link(server: AgentServer) -> ServerLink:
    """That agent's way to it."""
    return ServerLink(HttpClient(), server.url, "pull", "7.token")
