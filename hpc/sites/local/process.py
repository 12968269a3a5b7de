"""What this machine's own driver adds to the processes of batches (`hpc.agent.processes`)."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from hpc.agent import processes
from schemas.proxies import unproxied


def call_at_end(process: subprocess.Popen[bytes], call: Callable[[], None]) -> None:
    """Have `call` called in this event loop once a process has ended.

    Where the kernel has no such thing nobody is told: then whoever waits looks now and then.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(handle)
        os.close(handle)
        call()

    loop.add_reader(handle, ended)


def environment(variables: Mapping[str, str], callback: str) -> dict[str, str]:
    """What a runner sees: no secret and no setting of ours, and one thread per library.

    A proxy is passed on, since the archive may be behind it; our own API never is.
    """
    ours = unproxied(variables, [urlsplit(callback).hostname or ""])
    return processes.environment(variables, threads=1) | ours
