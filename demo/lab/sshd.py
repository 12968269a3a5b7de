"""A real sshd on a free port of 127.0.0.1, with keys of its own; ended with its block.

Nothing of the machine's own sshd is touched. It lets in the user who started it.
"""

import getpass
import logging
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from refinery.addresses import LOOPBACK, unused_port
from refinery.waiting import Waiting
from schemas.ssh_address import SshAddress, SshHop

log = logging.getLogger(__name__)

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
MISSING = "sshd is not installed: run `bash tests/debian-packages.sh` (openssh-server)"


def installed() -> bool:
    """Whether this machine has an sshd to start."""
    return Path(SSHD).exists() and shutil.which("ssh-keygen") is not None


@dataclass
class Sshd:
    """A running server. `environment` is what every command there sees, `given` the server."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    environment: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)

    @property
    def host_key(self) -> str:
        return (self.folder / "host_key.pub").read_text()

    @property
    def hop(self) -> SshHop:
        return SshHop(
            host="127.0.0.1",
            port=self.port,
            user=getpass.getuser(),
            host_key=self.host_key,
            private_key=(self.folder / "user_key").read_text(),
        )

    def address(self, *, port: int | None = None, jump: SshHop | None = None) -> SshAddress:
        """The way to it, or through whatever listens on `port`."""
        return SshAddress(replace(self.hop, port=port or self.port), jump=jump)

    def log(self) -> str:
        """What sshd has written so far."""
        return (self.folder / "sshd.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it again after it was stopped, and wait until it answers."""
        self.process = _start(self.folder, self.given)
        _await_banner(self)

    def stop(self) -> None:
        """End it; sessions end with their connections."""
        self.process.terminate()
        self.process.wait(10)


def generate_key(path: Path) -> None:
    """An ed25519 key pair at `path`."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


@contextmanager
def running_sshd(
    folder: Path,
    *,
    environment: Mapping[str, str] | None = None,
    options: tuple[str, ...] = (),
    given: Mapping[str, str] | None = None,
) -> Iterator[Sshd]:
    """A server whose HOME for every session is an empty folder; `options` are config lines.

    `environment` is added to what sessions see, `given` to what the server itself sees.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "home"
    home.mkdir(exist_ok=True)
    for name in ("host_key", "user_key"):
        if not (folder / name).exists():
            generate_key(folder / name)
    (folder / "authorized_keys").write_text((folder / "user_key.pub").read_text())
    seen = {"HOME": str(home), **(environment or {})}
    port = unused_port(LOOPBACK)
    (folder / "sshd_config").write_text("\n".join([*options, _config(folder, port, seen)]))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    server = Sshd(folder, port, _start(folder, given or {}), seen, dict(given or {}))
    try:
        _await_banner(server)
        yield server
    finally:
        server.stop()


def _start(folder: Path, given: Mapping[str, str]) -> subprocess.Popen[bytes]:
    with (folder / "sshd.log").open("ab") as log:
        return subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")],
            env={**os.environ, **given},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _config(folder: Path, port: int, environment: Mapping[str, str]) -> str:
    seen = " ".join(f'{name}="{value}"' for name, value in environment.items())
    return f"""\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
SetEnv {seen}
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PrintMotd no
UseDNS no
LogLevel VERBOSE
"""


def _await_banner(server: Sshd) -> None:
    waiting = Waiting("sshd", log.warning)
    while True:
        if server.process.poll() is not None:
            raise RuntimeError(f"sshd ended at once: {server.log()}")
        try:
            with socket.create_connection(("127.0.0.1", server.port), 10) as probe:
                if probe.recv(4) == b"SSH-":
                    return
        except OSError:
            time.sleep(0.02)
        waiting.go_on()
