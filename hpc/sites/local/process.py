"""A batch's process on this machine, and the lock by which it is known to be alive.

The process inherits the lock, and so does all that it starts; the kernel drops it with the
last of them. A pid proves nothing, for it may be another's by now.
"""

import asyncio
import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from schemas.proxies import proxies, unproxied


def spawn(folder: Path, command: Sequence[str], callback: str) -> subprocess.Popen[bytes]:
    """Start a batch's process, which inherits the batch's lock."""
    with (
        (folder / "alive").open("w") as held,
        (folder / "log" / "runner.log").open("ab") as log,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        return subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(os.environ, callback),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[held.fileno()],
            start_new_session=True,
        )


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


def is_alive(folder: Path) -> bool:
    """Whether any process still holds the batch's lock."""
    try:
        with (folder / "alive").open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def send_signal(
    folder: Path, process: subprocess.Popen[bytes] | None, number: signal.Signals
) -> None:
    """Send a signal to a batch's process; None: an earlier driver's.

    SIGKILL goes to all that it started as well, which nobody could end after it.
    """
    groups = set() if process is None else {process.pid}
    if process is None or number == signal.SIGKILL:
        groups |= _holders(folder)
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, number)


def end_leftovers(folder: Path) -> None:
    """End by force what a batch's process left running that was itself ended by force."""
    if is_alive(folder):
        send_signal(folder, None, signal.SIGKILL)


def _holders(folder: Path) -> set[int]:
    """The process groups that hold the batch's lock, by the kernel's own list of open files."""
    wanted, found = str(folder / "alive"), set()
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):  # it may end while it is read
            if os.readlink(handle) == wanted:
                found.add(os.getpgid(int(handle.parts[2])))
    return found - {os.getpgrp()}


def _environment(variables: Mapping[str, str], callback: str) -> dict[str, str]:
    """What a runner sees: no secret and no setting of ours, and one thread per library.

    A proxy is passed on, since the archive may be behind it; our own API never is.
    """
    kept = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HOME", "LD_LIBRARY_PATH")
    given = {name: value for name, value in variables.items() if name in kept}
    given |= proxies(variables) | unproxied(variables, [urlsplit(callback).hostname or ""])
    return given | {"OMP_NUM_THREADS": "1", "VIPS_CONCURRENCY": "1", "PYTHONUNBUFFERED": "1"}
