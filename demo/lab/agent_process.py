"""One agent as a process, started as an operator starts it: `join` once, then `run`."""

import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from demo.lab.machine import SYSTEM_PATH, LabMachine
from hpc.agent.processes import send_signal

GRACE_S = 20.0
JOIN_S = 120.0


class NotJoined(RuntimeError):
    """An agent could not join, or ended by itself; the message holds its own words."""


@dataclass
class AgentProcess:
    """An agent with a folder of its own and room for so many `units`; `number` is what the server
    calls it, once it joined.

    `variables` are added to the environment of everything that it starts.
    """

    machine: LabMachine
    name: str
    variables: Mapping[str, str] = field(default_factory=dict)
    units: int = 0
    number: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Path:
        """Where all of it lies."""
        return self.machine.folder / self.name

    @property
    def home(self) -> Path:
        """Its journal and its token."""
        return self.folder / "home"

    @property
    def root(self) -> Path:
        """Its batches and images."""
        return self.folder / "root"

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self.folder / "agent.log"

    def join(self, server: str, site: str, token: str, *words: str) -> None:
        """Become an agent of a site. Raises NotJoined."""
        self.folder.mkdir()
        account = self.machine.account
        account.own(self.folder)
        told = ["--server", server, "--site", site, "--name", self.name]
        told += ["--python", str(self.machine.python)]
        done = subprocess.run(
            self._command("join", *told, "--root", str(self.root), *words),
            cwd=self.folder,
            user=account.uid,
            group=account.gid,
            extra_groups=account.extra_groups,
            env=self._environment(),
            input=token,
            capture_output=True,
            text=True,
            timeout=JOIN_S,
            check=False,
        )
        if done.returncode:
            raise NotJoined(f"agent {self.name} cannot join: {done.stderr.strip()}")
        self.number = int((self.home / "token").read_text().partition(".")[0])

    def start(self) -> None:
        """Run it."""
        account = self.machine.account
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command("run"),
                cwd=self.folder,
                user=account.uid,
                group=account.gid,
                extra_groups=account.extra_groups,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End it without a word; what it started goes on."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(GRACE_S)

    def has_ended(self) -> bool:
        """Whether it ended as it was told to. Raises NotJoined when it ended otherwise."""
        code = None if self.process is None else self.process.poll()
        if code:
            raise NotJoined(f"agent {self.name} ended with code {code}: {self.last_words()}")
        return code == 0

    def last_words(self) -> str:
        """The end of its log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return " / ".join(lines[-3:])

    def close(self) -> None:
        """End it and all that it started."""
        self.kill()
        for batch in (self.root / "batches").glob("*"):
            send_signal(batch, None, signal.SIGKILL)

    def _command(self, *words: str) -> list[str]:
        python, program = str(self.machine.python), str(self.machine.program)
        return [python, program, *words, "--home", str(self.home)]

    def _environment(self) -> dict[str, str]:
        """No variable of ours, which may hold a secret or name a proxy."""
        path = f"{SYSTEM_PATH}:{os.environ.get('PATH', '')}"
        return {"PATH": path, "HOME": str(self.folder), "LANG": "C.UTF-8", **self.variables}
