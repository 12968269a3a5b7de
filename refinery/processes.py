"""Other processes, named so that a recycled pid is never taken for one of them.

A process is identified by its pid and start time together. What our services start
themselves (Prefect's flow runs live in sessions of their own) is found by a variable that
every descendant inherits.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

MARK = "STACK_OF_REFINERY"


@dataclass(frozen=True)
class ProcessId:
    """A process beyond doubt: `started` is its start time as the kernel reports it."""

    pid: int
    started: float

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return find(self) is not None

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended."""
        if process := find(self):
            send(process, number)


def identify(pid: int) -> ProcessId | None:
    """The identity of the process that has this pid now."""
    try:
        return ProcessId(pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def find(identity: ProcessId) -> psutil.Process | None:
    """The living process of that identity."""
    try:
        process = psutil.Process(identity.pid)
        same = abs(process.create_time() - identity.started) < 0.05
        return process if same and lives(process) else None
    except psutil.NoSuchProcess:
        return None


def send(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended meanwhile; psutil guards against reuse."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def end(processes: Iterable[psutil.Process], grace: float, last: signal.Signals) -> list[int]:
    """Wait `grace` seconds for the end, then send `last`. Returns the pids that still live."""
    alive = wait(processes, grace)
    for process in alive:
        send(process, last)
    return [process.pid for process in wait(alive, grace)]


def wait(processes: Iterable[psutil.Process], grace: float) -> list[psutil.Process]:
    """Wait for the end of all; those that live after `grace` seconds.

    psutil's own waiting takes a zombie for alive, and a container's first process may reap none.
    """
    deadline = time.monotonic() + grace
    alive = list(processes)
    while (alive := [each for each in alive if lives(each)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def lives(process: psutil.Process) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def working_in(folder: Path, name: str) -> list[psutil.Process]:
    """The living processes called `name` whose working directory is `folder`."""
    path = str(folder.resolve())
    return _select(psutil.process_iter(), lambda each: each.name() == name and each.cwd() == path)


def heads(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those of the family whose parent is not in it."""
    pids = {member.pid for member in family}
    return _select(family, lambda member: member.ppid() not in pids)


def marked(mark: str) -> list[psutil.Process]:
    """The living processes, ourselves excepted, that inherited this mark."""
    own = os.getpid()
    return _select(
        psutil.process_iter(),
        lambda each: each.pid != own and each.environ().get(MARK) == mark,
    )


def _select(
    processes: Iterable[psutil.Process], wanted: Callable[[psutil.Process], bool]
) -> list[psutil.Process]:
    """Those that are wanted, without any that has ended or may not be inspected."""
    found = []
    for process in processes:
        with suppress(psutil.Error, OSError):
            if wanted(process):
                found.append(process)
    return found


def sweep(mark: str, grace: float) -> list[int]:
    """End every process with this mark: asked first, then forced. Returns those that still live."""
    family = marked(mark)
    for process in family:
        send(process, signal.SIGTERM)
    return end(family, grace, signal.SIGKILL)
