"""One SSH connection per site, shared by everybody here, at most five commands at a time.

The guarantee holds per process, and a site has one driver. A connection carries a
generation number: trouble on an old one never takes down the new one.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

from hpc.transport.breaker import Breaker
from hpc.transport.channel import ChannelCall, CommandAnswer, Counts, Sink, Stdin
from hpc.transport.connect import SshConnection, connect
from hpc.transport.errors import CircuitOpen, DeadlinePassed, HungUp, LinkLost, NotBegun, WireError
from schemas.backoff import Backoff
from schemas.ssh_address import SshAddress

CHANNELS = 5
"""Servers allow 10 by default and count a closed one a while longer."""

MAX_WAIT_S = 15.0
"""How long a command waits for a host that has no room for another session."""

PAUSES = Backoff(0.05, 1.0)
IDLE_S = 45.0
"""A connection that was idle for longer is probed before it is used."""

PROBE_S = 5.0
GRACE_S = 3.0

T = TypeVar("T")
Args = TypeVarTuple("Args")
log = logging.getLogger(__name__)


class SshLink:
    """A link to one login node; opens when first used and again when it broke.

    `host_key` is the kind and fingerprint of the one last seen, empty before.
    """

    def __init__(self, address: SshAddress, *, breaker: Breaker | None = None) -> None:
        self.address = address
        self.breaker = breaker or Breaker()
        self.counts = Counts()
        self.host_key = ""
        self._pool = ThreadPoolExecutor(2 * CHANNELS + 2, thread_name_prefix="ssh")
        self._places = asyncio.Semaphore(CHANNELS)
        self._opening = asyncio.Lock()
        self._connection: SshConnection | None = None
        self._generation = 0
        self._proven = 0
        self._used_at = 0.0

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
        async with self._places:
            until = time.monotonic() + min(MAX_WAIT_S, deadline_s)
            tries = 0
            while True:
                tries += 1
                connection = await self._connected()
                try:
                    return await self._call(connection, command, stdin, deadline_s, sink)
                except NotBegun:
                    self.counts.refused_channels += 1
                    if time.monotonic() > until:
                        raise
                pause = PAUSES.pause_s(tries)
                await asyncio.sleep(random.uniform(pause / 2, pause))

    async def open(self) -> None:
        """Connect now, for a command that is about to come. Raises WireError."""
        await self._connected()

    async def close(self) -> None:
        """Close the connection; the link may be used again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._in_thread(connection.close)

    async def _call(
        self,
        connection: SshConnection,
        command: str,
        stdin: Stdin,
        deadline_s: float,
        sink: Sink | None,
    ) -> CommandAnswer:
        call = ChannelCall(connection, self.counts, deadline_s)
        task = self._in_thread(call.run, command, stdin, sink)
        try:
            answer = await asyncio.wait_for(asyncio.shield(task), deadline_s + GRACE_S)
        except asyncio.CancelledError:
            self._pool.submit(call.abort)
            task.add_done_callback(_forget)
            raise
        except LinkLost:
            self._drop(connection)
            raise
        except DeadlinePassed:
            await self._probe(connection)
            raise
        except TimeoutError as error:
            task.add_done_callback(_forget)
            await self._probe(connection)
            raise DeadlinePassed(f"no answer within {deadline_s:.0f} s") from error
        self._used_at = time.monotonic()
        self._prove(connection)
        return answer

    async def _connected(self) -> SshConnection:
        """The connection, opened or proven alive. Raises WireError."""
        async with self._opening:
            found = self._connection
            if found is not None and not found.transport.is_active():
                self._drop(found)
            elif found is not None and time.monotonic() - self._used_at > IDLE_S:
                await self._probe(found)
            if self._connection is None:
                self._connection = await self._open()
            self._used_at = time.monotonic()
            return self._connection

    async def _open(self) -> SshConnection:
        wait = self.breaker.wait_s(time.monotonic())
        if wait > 0:
            raise CircuitOpen(f"left alone for another {wait:.0f} s: {self.breaker.why}")
        self._generation += 1
        try:
            self.counts.connections += 1
            opened = await self._in_thread(connect, self.address, self._generation)
        except WireError as error:
            wait = self.breaker.failed(time.monotonic(), str(error), error.pauses)
            log.warning("%s; next try in %.0f s", error, wait)
            raise
        self.host_key = opened.host_key
        return opened

    async def _probe(self, connection: SshConnection) -> None:
        """Keep a connection that still answers, drop one that does not."""
        call = ChannelCall(connection, self.counts, PROBE_S)
        work = self._in_thread(call.run, "true", b"", None)
        try:
            await asyncio.wait_for(asyncio.shield(work), PROBE_S + GRACE_S)
        except NotBegun:
            return  # it answered: it is full
        except (WireError, TimeoutError):
            work.add_done_callback(_forget)
            self._drop(connection)

    def _prove(self, connection: SshConnection) -> None:
        """A command came to its end: only now the host is known to be well."""
        if connection.generation > self._proven:
            self._proven = connection.generation
            self.breaker.succeeded()

    def _drop(self, connection: SshConnection) -> None:
        """Forget a connection, unless a newer one is in its place already.

        One that never carried a command to its end counts as a failure to connect: else a host
        that lets us in and ends every session would be tried again without a pause for ever.
        """
        if self._connection is not None and self._connection.generation == connection.generation:
            self._connection = None
            self.counts.lost += 1
            if connection.generation > self._proven:
                why = f"{self.address.node.name} lets us in, and no command comes to its end"
                self.breaker.failed(time.monotonic(), why, HungUp.pauses)
        connection.cut()

    def _in_thread(self, work: Callable[[*Args], T], *args: *Args) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().run_in_executor(self._pool, work, *args)


def _forget(task: "asyncio.Future[CommandAnswer]") -> None:
    """Read the outcome that nobody awaits any more, so that asyncio does not warn of it."""
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()
