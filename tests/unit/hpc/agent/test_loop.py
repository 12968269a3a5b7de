"""The agent's turn, whole ones made one by one."""

import pytest

from hpc.agent.loop import AgentLoop
from hpc.agent.server import ServerLink
from tests.support.agent_server import AgentServer
from tests.support.agent_site import AgentSite


@pytest.mark.parametrize("order", ["drain", "stop"])
def test_an_order_that_comes_with_a_claim_counts_before_the_next_heartbeat(
    site: AgentSite, server: AgentServer, link: ServerLink, order: str
) -> None:
    loop = AgentLoop(site.home, site.config, link, site.journal, once=True)
    server.claimed = {"order": order}
    assert loop.run_once()
    server.add_batch("b1", [1])
    loop.turn()
    assert len(server.bodies("claim")) == 1
    server.claimed = {}
    server.queue.clear()
    assert loop.run_once()
    assert len(server.bodies("claim")) == 2, "a heartbeat has the last word"
