"""A site of an agent on this disk."""

from pathlib import Path

import pytest

from tests.support.agent_site import AgentSite, agent_site


@pytest.fixture
def site(tmp_path: Path) -> AgentSite:
    """A site without work."""
    return agent_site(tmp_path)
