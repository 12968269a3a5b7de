"""All that a process starts, directly or not, known by the kernel's own list and ended together."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

BECOME_SUBREAPER = 36
"""PR_SET_CHILD_SUBREAPER of Linux: an orphan is given to this process, and stays in its tree."""
GRACE_S = 10.0
"""What a program is given between SIGTERM and SIGKILL: less than whoever stops us gives us."""
KILL_S = 5.0
"""How long what was killed is waited for; what hangs in the kernel is left to it."""
LOOK_S = 0.02


class Descendants:
    """What this process starts from when the object is made, and all that these start.

    What is set free (a new session, a parent that ended) counts as well. Where there is no Linux
    nothing is known, and nothing is ended.
    """

    def __init__(self) -> None:
        with suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(BECOME_SUBREAPER, 1, 0, 0, 0)
        self._before = set(_below(os.getpid()))

    def remaining(self) -> set[int]:
        """Those that have not ended, and those that had and were reaped just now: behind one
        that ended while the list was read, another may have begun."""
        me = os.getpid()
        found = {pid: facts for pid, facts in _below(me).items() if pid not in self._before}
        for pid, (parent, state) in found.items():
            if state == "Z" and parent == me:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        return set(found)

    def end(self, grace_s: float = GRACE_S) -> None:
        """Have all of them end: by SIGTERM, and after so many seconds by SIGKILL."""
        told: set[int] = set()
        force_at = time.monotonic() + grace_s
        while remaining := self.remaining():
            now = time.monotonic()
            if now > force_at + KILL_S:
                return
            # One that was started meanwhile is told as well; by force, each of them again.
            number = signal.SIGTERM if now < force_at else signal.SIGKILL
            for pid in remaining - told if number == signal.SIGTERM else remaining:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
            told |= remaining
            time.sleep(LOOK_S)


def _below(ancestor: int) -> dict[int, tuple[int, str]]:
    """Parent and state of each process below one, by its id."""
    known = _processes()
    found: dict[int, tuple[int, str]] = {}
    above = {ancestor}
    while above:
        children = {pid for pid, (parent, _) in known.items() if parent in above}
        found |= {pid: known[pid] for pid in children}
        above = children
    return found


def _processes() -> dict[int, tuple[int, str]]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):  # it may end while it is read
            # The name before it is in brackets, and may hold anything.
            state, parent = path.read_bytes().rpartition(b")")[2].split()[:2]
            found[int(path.parent.name)] = (int(parent), state.decode())
    return found
