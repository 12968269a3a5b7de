"""One command on an open connection, from its channel to its exit code; blocks.

stdin, stdout and stderr move in one loop, so that no full window can dead-lock it, and
the channel is closed explicitly: a server counts it until then.
"""

import select
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import paramiko
from paramiko.ssh_exception import ChannelException, SSHException

from hpc.transport.connect import SshConnection
from hpc.transport.errors import DeadlinePassed, LinkLost, NotBegun, TooMuch

Stdin: TypeAlias = bytes | Iterable[bytes]
Sink: TypeAlias = Callable[[bytes], object]

PIECE = 32_768
MAX_OUTPUT = 256_000_000
POLL_S = 0.2


@dataclass(frozen=True)
class CommandAnswer:
    """What a command answered. `exit_code` None: it ended without an exit code."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes


@dataclass
class Counts:
    """What was asked of a site since the link was made; `lost` are connections that broke."""

    connections: int = 0
    commands: int = 0
    refused_channels: int = 0
    lost: int = 0


class ChannelCall:
    """A command under way; `abort` ends it from another thread."""

    def __init__(self, connection: SshConnection, counts: Counts, deadline_s: float) -> None:
        self._connection = connection
        self._counts = counts
        self._deadline_s = deadline_s
        self._until = time.monotonic() + deadline_s
        self._gone = threading.Event()
        self._channel: paramiko.Channel | None = None

    def abort(self) -> None:
        """Stop waiting; what runs over there may go on."""
        self._gone.set()
        channel = self._channel
        if channel is not None:
            with suppress(SSHException, OSError, EOFError):
                channel.close()

    def run(self, command: str, stdin: Stdin, sink: Sink | None) -> CommandAnswer:
        """Run the command. Raises WireError."""
        # paramiko waits for the server's answer to an exec without any deadline of its own.
        alarm = threading.Timer(self._deadline_s, self.abort)
        alarm.daemon = True
        alarm.start()
        try:
            return self._run(self._open(), command, stdin, sink)
        finally:
            alarm.cancel()

    def _run(
        self, channel: paramiko.Channel, command: str, stdin: Stdin, sink: Sink | None
    ) -> CommandAnswer:
        try:
            channel.exec_command(command)
            self._counts.commands += 1
            return self._converse(channel, _pieces(stdin), sink)
        except (SSHException, OSError, EOFError) as error:
            raise self._trouble(error) from error
        finally:
            with suppress(SSHException, OSError, EOFError):
                channel.close()
            self._connection.transport.send_for(None)

    def _open(self) -> paramiko.Channel:
        transport = self._connection.transport
        try:
            channel = transport.open_session(timeout=min(self._deadline_s, 15.0))
        except ChannelException as error:
            raise NotBegun(f"the host opens no further session: {error}") from error
        except (SSHException, OSError, EOFError) as error:
            trouble: LinkLost | DeadlinePassed
            if isinstance(error, EOFError) or not transport.is_active():
                trouble = LinkLost(f"the connection is gone: {str(error) or 'it is closed'}")
            elif "Unable to open channel" in str(error):
                raise NotBegun("the host opens no further session") from error
            else:
                trouble = DeadlinePassed(f"no session was opened in time: {error}")
            trouble.begun = False
            raise trouble from error
        self._channel = channel
        transport.send_for(channel)
        return channel

    def _converse(
        self, channel: paramiko.Channel, pieces: Iterator[bytes], sink: Sink | None
    ) -> CommandAnswer:
        out: list[bytes] = []
        err: list[bytes] = []
        take = out.append if sink is None else sink
        feed: bytes | None = b""
        total = 0
        while True:
            self._check_deadline(channel)
            moved = 0
            while channel.recv_ready() and (piece := channel.recv(PIECE * 8)):
                take(piece)
                moved += len(piece)
            while channel.recv_stderr_ready() and (piece := channel.recv_stderr(PIECE)):
                err.append(piece)
                moved += len(piece)
            total += moved if sink is None else 0
            if total > MAX_OUTPUT:
                raise TooMuch(f"more than {MAX_OUTPUT // 1_000_000} MB of output")
            if feed is not None and channel.send_ready() and not channel.status_event.is_set():
                feed = self._feed(channel, feed, pieces)
            elif not moved and self._is_over(channel):
                return CommandAnswer(self._exit_code(channel), b"".join(out), b"".join(err))
            elif not moved:
                self._wait(channel, feeding=feed is not None)

    def _feed(
        self, channel: paramiko.Channel, feed: bytes, pieces: Iterator[bytes]
    ) -> bytes | None:
        """Send some; what is left to send, None after the end was sent."""
        if not feed:
            feed = next(pieces, b"")
        if not feed:
            channel.shutdown_write()
            return None
        return feed[channel.send(feed[:PIECE]) :]

    def _is_over(self, channel: paramiko.Channel) -> bool:
        drained = channel.eof_received and not channel.recv_ready()
        return bool(channel.closed or (drained and channel.status_event.is_set()))

    def _wait(self, channel: paramiko.Channel, *, feeding: bool) -> None:
        """Until something arrives, at most a moment."""
        if channel.eof_received:
            channel.status_event.wait(POLL_S)
        else:
            select.select([channel], [], [], 0.005 if feeding else POLL_S)

    def _exit_code(self, channel: paramiko.Channel) -> int | None:
        """None when a signal ended the command over there. Raises LinkLost, DeadlinePassed."""
        if channel.exit_status >= 0:
            return channel.exit_status
        if self._gone.is_set() or not self._connection.transport.is_active():
            raise self._trouble("")
        return None

    def _check_deadline(self, channel: paramiko.Channel) -> None:
        if time.monotonic() > self._until or self._gone.is_set():
            raise DeadlinePassed(f"no answer within {self._deadline_s:.0f} s")
        if not self._connection.transport.is_active() and not channel.status_event.is_set():
            raise self._trouble("")

    def _trouble(self, error: Exception | str) -> LinkLost | DeadlinePassed:
        if self._gone.is_set() or time.monotonic() > self._until:
            return DeadlinePassed(f"no answer within {self._deadline_s:.0f} s")
        return LinkLost(f"the connection broke: {str(error) or 'it is closed'}")


def _pieces(stdin: Stdin) -> Iterator[bytes]:
    """In pieces; an iterable may give empty ones, which must not end the stream."""
    if isinstance(stdin, bytes):
        return iter((stdin,) if stdin else ())
    return (piece for piece in stdin if piece)
