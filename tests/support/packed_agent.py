"""The packed agent as a process, in a folder of its own; and one that dies at a journal's line."""

import functools
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpc.archives import build_agent
from tests.support.agent_server import JOIN_TOKEN, AgentServer

DYING = """\
import os
import sys

from hpc.agent import journal
from hpc.agent.__main__ import main

write = journal.Journal._write
counter = os.environ["COUNTER"]


def dying(self, line):
    with open(counter, "a") as count:
        count.write(".")
    now = os.path.getsize(counter) == int(os.environ["DIES_AT"])
    if now and os.environ["DIES"] == "before":
        os._exit(9)
    write(self, line)
    if now:
        os._exit(9)


journal.Journal._write = dying
sys.exit(main())
"""
"""Counts the lines of all runs, and is gone before or after one of them is on the disk."""

OLD_PYTHONS = ("python3.6", "python3.7", "python3.8", "python3.9")


@functools.cache
def oldest_python() -> str:
    """The oldest Python of this machine that runs; this one when there is no other."""
    for name in OLD_PYTHONS:
        for folder in [*os.environ["PATH"].split(":"), *map(str, pyenv_folders())]:
            path = Path(folder) / name
            if (
                path.exists()
                and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0
            ):
                return str(path)
    return sys.executable


def pyenv_folders() -> list[Path]:
    """Where pyenv keeps its Pythons, whose names on the path may answer for none of them."""
    root = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    return sorted(Path(root).glob("versions/3.*/bin"))


@dataclass
class PackedAgent:
    """An agent below `folder`; `python` runs it, by way of `prefix`, if any, and `variables` are
    added to its environment."""

    folder: Path
    program: Path
    python: str = field(default_factory=oldest_python)
    variables: dict[str, str] = field(default_factory=dict)
    prefix: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """Where its batches lie."""
        return self.folder / "root"

    @property
    def home(self) -> Path:
        """Where its journal lies."""
        return self.folder / "home"

    def work(self) -> list[int]:
        """The attempts that the runner of these tests began, in order."""
        log = self.root / "work.log"
        return [int(line) for line in log.read_text().split()] if log.exists() else []

    def command(self, *words: str) -> list[str]:
        """What runs it with these arguments."""
        return [*self.prefix, self.python, str(self.program), *words, "--home", str(self.home)]

    def environment(self, **more: str) -> dict[str, str]:
        """Its environment: nothing of ours."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.variables, **more}

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            self.command(*words),
            env=self.environment(**more),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Start it; whoever does ends it."""
        return subprocess.Popen(
            self.command("run", *words),
            env=self.environment(),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **more,
        )

    def join(self, server: AgentServer, *words: str) -> subprocess.CompletedProcess[str]:
        """Have it join a server."""
        told = ["--server", server.url, "--site", "pull", "--root", str(self.root)]
        told += ["--python", sys.executable, "--process", "2", *words]
        return self.run("join", *told, REFINERY_JOIN_TOKEN=JOIN_TOKEN)


def packed_agent(folder: Path) -> PackedAgent:
    """The agent, packed, below `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return PackedAgent(folder, build_agent(folder))


def dying_agent(folder: Path) -> PackedAgent:
    """One that dies at the line of its journal that `DIES_AT` says, `DIES` before or after it."""
    agent = packed_agent(folder)
    made = folder / "dying.pyz"
    with zipfile.ZipFile(agent.program) as real, zipfile.ZipFile(made, "w") as dying:
        for name in real.namelist():
            dying.writestr(name, DYING if name == "__main__.py" else real.read(name))
    agent.program = made
    agent.variables["COUNTER"] = str(folder / "counter")
    return agent
