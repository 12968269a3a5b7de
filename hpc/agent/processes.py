"""Processes of batches on this machine, and the lock by which one is known to be alive.

A process inherits the lock, and so does all that it starts; the kernel drops it with the last of
them. A pid proves nothing, for it may be another's by now. Each has a session of its own, so
that it outlives who started it.
"""

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Set

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HOME", "LD_LIBRARY_PATH")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_LOOKS, _PAUSE = 50, 0.02  # about a second: what waits in the kernel dies when that lets it go


def spawn(
    folder: Path, command: List[str], variables: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Start a batch's process, which inherits the batch's lock. Raises OSError."""
    lock, words = folder / "alive", folder / "log" / "runner.log"
    with lock.open("w") as held, words.open("ab") as log:
        fcntl.flock(held, fcntl.LOCK_EX)
        return subprocess.Popen(
            command,
            cwd=str(folder),
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[held.fileno()],
            start_new_session=True,
        )


def environment(variables: Mapping[str, str], threads: int) -> Dict[str, str]:
    """What a runner sees of our environment: no secret, and so many threads per library."""
    given = {
        name: value
        for name, value in variables.items()
        if name in _KEPT or name.lower() in _PROXIES
    }
    counted = {"OMP_NUM_THREADS": str(threads), "VIPS_CONCURRENCY": str(threads)}
    return dict(given, PYTHONUNBUFFERED="1", **counted)


def is_alive(folder: Path) -> bool:
    """Whether any process still holds a batch's lock."""
    try:
        with (folder / "alive").open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def send_signal(folder: Path, pid: Optional[int], number: signal.Signals) -> None:
    """Send a signal to a batch's process; pid None: one that another has started.

    SIGKILL goes to all that it started as well, which nobody could end after it.
    """
    groups = set() if pid is None else {pid}
    if pid is None:
        groups |= _holders(folder)
    _signal(groups, number)
    if number == signal.SIGKILL:
        _end_holders(folder)


def end_leftovers(folder: Path) -> None:
    """End by force what a batch's process left running that was itself ended by force."""
    if is_alive(folder):
        send_signal(folder, None, signal.SIGKILL)


def _end_holders(folder: Path) -> None:
    """Kill whoever holds a batch's lock, and look again: one may fork meanwhile."""
    for _ in range(_LOOKS):
        groups = _holders(folder)
        if not groups:
            return
        _signal(groups, signal.SIGKILL)
        time.sleep(_PAUSE)  # a killed process needs a moment to let go of its files


def _signal(groups: Set[int], number: signal.Signals) -> None:
    for group in groups:
        try:
            os.killpg(group, number)
        except ProcessLookupError:
            continue


def _holders(folder: Path) -> Set[int]:
    """The process groups that hold the batch's lock, by the kernel's own list of open files."""
    wanted, found = str((folder / "alive").resolve()), set()
    for handle in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(str(handle)) == wanted:
                found.add(os.getpgid(int(handle.parts[2])))
        except OSError:  # it may end while it is read, or be another user's
            continue
    return found - {os.getpgrp()}
