"""What our records say against the agents of the demonstration, and where they may run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.lab import agents, machine, pull
from demo.lab.agent_process import AgentProcess, NotJoined
from demo.lab.known_site import NoSiteHere, is_own
from demo.lab.machine import LabMachine
from refinery.settings import Settings


def test_a_job_that_two_have_done_and_an_agent_that_did_nothing_are_told() -> None:
    done = {"first": ["a ocr", "b ocr"], "second": ["b ocr"], "third": []}
    assert list(agents._faults(done)) == [
        "b ocr was done by agent first and by agent second",
        "agent third did nothing",
    ]
    assert list(agents._faults({"first": ["a ocr"], "second": ["b ocr"]})) == []


def test_a_site_of_that_name_in_the_sites_file_is_used_instead(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, {})
    assert is_own(settings, "agents", agents.SITE)
    assert not is_own(settings, "local", agents.SITE)
    (tmp_path / "deployments").mkdir()
    listed = "sites:\n  - {site: agents, kind: pull, callback: none}\n"
    (tmp_path / "deployments" / "sites.yaml").write_text(listed)
    assert not is_own(settings, "agents", agents.SITE)


async def test_without_the_packages_it_says_which_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "installed", lambda: False)
    nothing: object = None
    with pytest.raises(NoSiteHere, match=r"tests/debian-packages\.sh.*slurm-wlm-torque"):
        async with pull.own_pull(Settings.load(tmp_path, {}), nothing, nothing, print):  # type: ignore[arg-type]
            pass


def test_its_python_has_the_libraries_and_not_the_repository(tmp_path: Path) -> None:
    python = machine._make_python(tmp_path / "python", os.path.realpath(sys.executable))

    def finds(name: str) -> bool:
        command = [python, "-c", f"import {name}"]
        done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, check=False)
        return done.returncode == 0

    assert finds("numpy") and not finds("track")


def test_an_agent_that_ends_by_itself_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "agent.py"
    program.write_text("import sys\nsys.exit('the disk is full')\n")
    agent = AgentProcess(LabMachine(tmp_path, program, Path(sys.executable)), "first")
    agent.folder.mkdir()
    agent.start()
    assert agent.process is not None
    agent.process.wait(20)
    with pytest.raises(NotJoined, match="first ended with code 1: the disk is full"):
        agent.has_ended()
