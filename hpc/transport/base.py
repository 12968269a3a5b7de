"""What a driver may ask of a wire, whichever it is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Stdin: TypeAlias = bytes | Iterable[bytes]
Sink: TypeAlias = Callable[[bytes], object]


@dataclass(frozen=True)
class CommandAnswer:
    """What a command answered. `exit_code` None: it ended without saying how."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes


@dataclass
class Counts:
    """What was asked of a site since the wire was opened; `lost` are connections that broke."""

    connections: int = 0
    commands: int = 0
    refused_channels: int = 0
    lost: int = 0
    sent_bytes: int = 0


class SiteWire(Protocol):
    """Runs commands over there."""

    @property
    def counts(self) -> Counts:
        """What this wire did so far."""

    @property
    def host_key(self) -> str:
        """Kind and fingerprint of the key by which the host was known; empty for none."""

    async def run(
        self,
        command: str,
        stdin: Stdin = b"",
        *,
        deadline_s: float = 60.0,
        sink: Sink | None = None,
    ) -> CommandAnswer:
        """Run a shell command to its end within `deadline_s` seconds.

        `sink` is given stdout piece by piece, on another thread, instead of the answer.
        Raises WireError; its `begun` says whether the command may have run.
        """

    async def open(self) -> None:
        """Connect now, for a command that is about to come. Raises WireError."""

    async def close(self) -> None:
        """Let go of the connection."""
