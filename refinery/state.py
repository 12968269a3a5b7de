"""What is running: ports, processes and whether the system is ready, in `state.json`.

Only the supervisor writes it, and by rename, so a reader never sees half a state.
"""

import hashlib
import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from refinery.processes import ProcessId
from refinery.settings import Settings

SERVERS = ("prefect", "clusters", "workstations", "board", "ars", "postgres")


class NotRunning(RuntimeError):
    """The command needs the running system, and `refinery up` has not started one here."""


@dataclass(frozen=True)
class SystemState:
    """One moment of the system; `ports` outlive it, so that addresses stay the same."""

    ports: dict[str, int] = field(default_factory=dict)
    supervisor: ProcessId | None = None
    services: dict[str, ProcessId] = field(default_factory=dict)
    ready: bool = False

    def running(self) -> bool:
        """Whether its supervisor lives."""
        return self.supervisor is not None and self.supervisor.alive()

    def stopped(self) -> "SystemState":
        """The same system after its end."""
        return replace(self, supervisor=None, services={}, ready=False)


_FILE = TypeAdapter(SystemState)


def path_of(settings: Settings) -> Path:
    """Where the state is kept."""
    return settings.state / "state.json"


def read(settings: Settings) -> SystemState:
    """The last state written; an empty one when there is none, or it cannot be read."""
    try:
        return _FILE.validate_json(path_of(settings).read_bytes())
    except (FileNotFoundError, ValidationError):
        return SystemState()


def write(settings: Settings, state: SystemState) -> None:
    """Replace the state, readable by its owner alone."""
    path = path_of(settings)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(_FILE.dump_json(state, indent=2))
    draft.replace(path)


def mark(settings: Settings) -> str:
    """What every process of this system carries in its environment."""
    return hashlib.sha256(os.fsencode(settings.state)).hexdigest()[:24]


def secret(settings: Settings, name: str) -> str:
    """A random secret of this system, drawn once and kept in a file of mode 0600."""
    folder = settings.state / "run"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(drawn := secrets.token_hex(32))
    return drawn
