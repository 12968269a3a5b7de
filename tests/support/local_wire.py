"""A link to this very machine: it runs commands as subprocesses."""

import asyncio
import os
import signal
from contextlib import suppress

from hpc.transport.channel import CommandAnswer, Counts, Sink, Stdin
from hpc.transport.errors import DeadlinePassed


class LocalWire:
    """Runs commands through this machine's shell."""

    host_key = ""

    def __init__(self) -> None:
        self.counts = Counts()

    async def run(
        self,
        command: str,
        stdin: Stdin = b"",
        *,
        deadline_s: float = 60.0,
        sink: Sink | None = None,
    ) -> CommandAnswer:
        """Run a shell command to its end. Raises DeadlinePassed."""
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self.counts.commands += 1
        given = stdin if isinstance(stdin, bytes) else b"".join(stdin)
        try:
            async with asyncio.timeout(deadline_s):
                out, err = await process.communicate(given)
        except TimeoutError as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise DeadlinePassed(f"no answer within {deadline_s:.0f} s") from error
        if sink is not None:
            sink(out)
            out = b""
        return CommandAnswer(process.returncode, out, err)

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """There is no connection to let go of."""
