"""A Python for the modules: a real venv, filled by a real pip from a folder of wheels."""

import sys
import zipfile
from pathlib import Path

import pytest

from hpc.agent.config import ConfigError, read_config, write_config
from hpc.agent.https import HttpClient
from hpc.agent.preparing import prepare
from hpc.agent.server import ServerLink
from tests.support.agent_server import AgentServer
from tests.support.agent_site import AgentSite, agent_site

CHECKS = """\
import json, sys

try:
    import nothingness
except ImportError:
    nothingness = None
print(json.dumps({"install": ["nothingness"]}))
sys.exit(0 if nothingness else 78)
"""
METADATA = "Metadata-Version: 2.1\nName: nothingness\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    """A folder with one wheel of a library that is nowhere else."""
    folder = tmp_path / "wheels of ours"
    folder.mkdir()
    info = "nothingness-1.0.dist-info"
    with zipfile.ZipFile(folder / "nothingness-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("nothingness.py", "")
        wheel.writestr(f"{info}/METADATA", METADATA)
        wheel.writestr(f"{info}/WHEEL", WHEEL)
        wheel.writestr(f"{info}/RECORD", "nothingness.py,,\n")
    return folder


@pytest.fixture
def link(server: AgentServer) -> ServerLink:
    """The way of an agent that has joined to the server."""
    server.tokens.add("7.token")
    return ServerLink(HttpClient(), server.url, "pull", "7.token")


@pytest.fixture
def joined(tmp_path: Path, server: AgentServer) -> AgentSite:
    """A machine whose `python` is not there, at a server whose runner wants that library."""
    site = agent_site(tmp_path / "site")
    assert server.runner is not None
    server.runner.write_text(CHECKS)
    server.news = {"runner": server.digest}
    write_config(site.home, site.config._replace(python="python-that-is-not-there"))
    return site


def test_a_venv_is_made_filled_and_noted_and_then_left_alone(
    joined: AgentSite, link: ServerLink, wheelhouse: Path
) -> None:
    python = joined.folders.root / "python" / "bin" / "python"
    done = prepare(joined.home, read_config(joined.home), link, sys.executable, wheelhouse)
    assert done[-1] == f"{python} runs every module, and is `python` of agent.json"
    config = read_config(joined.home)
    assert config.python == str(python)
    python.with_name("pip").unlink()  # nothing is installed again
    (again,) = prepare(joined.home, config, link, "no-such-python", None)
    assert again == done[-1]


def test_what_pip_says_is_told_and_the_configuration_stays(
    joined: AgentSite, link: ServerLink, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    config = read_config(joined.home)
    with pytest.raises(ConfigError, match="nothingness"):
        prepare(joined.home, config, link, sys.executable, tmp_path / "empty")
    assert read_config(joined.home) == config


@pytest.mark.parametrize("base", ["no-such-python", "/bin/true"])
def test_a_base_that_does_not_run_the_runner_is_refused(
    joined: AgentSite, link: ServerLink, base: str
) -> None:
    with pytest.raises(ConfigError, match=f"{base} does not run the runner.*--base"):
        prepare(joined.home, read_config(joined.home), link, base, None)
