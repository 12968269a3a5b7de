"""Other processes, named so that a recycled pid is never taken for one of them.

A process is identified by its pid and start time together. What our services start
themselves (Prefect's flow runs live in sessions of their own) is found by a variable that
every descendant inherits.
"""

import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

MARK = "STACK_OF_REFINERY"


@dataclass(frozen=True)
class ProcessId:
    """A process beyond doubt: `started` is its start time as the kernel tells it."""

    pid: int
    started: float

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return find(self) is not None

    def tell(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended."""
        process = find(self)
        if process is not None:
            tell(process, number)


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


def tell(process: psutil.Process, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended meanwhile; psutil guards against reuse."""
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def end(processes: Iterable[psutil.Process], grace: float, last: signal.Signals) -> list[int]:
    """Wait `grace` seconds for the end, then send `last`. Returns the pids that still live."""
    alive = wait(processes, grace)
    for process in alive:
        tell(process, last)
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
    found = []
    for process in psutil.process_iter():
        try:
            if process.name() == name and process.cwd() == str(folder.resolve()):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def heads(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those of the family whose parent is not in it."""
    pids = {member.pid for member in family}
    found = []
    for member in family:
        try:
            if member.ppid() not in pids:
                found.append(member)
        except psutil.NoSuchProcess:
            continue
    return found


def marked(mark: str) -> list[psutil.Process]:
    """The living processes, ourselves excepted, that inherited this mark."""
    found = []
    own = psutil.Process().pid
    for process in psutil.process_iter():
        try:
            if process.pid != own and process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError):
            continue
    return found


def sweep(mark: str, grace: float) -> list[int]:
    """End every process with this mark: asked first, then forced. Returns those that still live."""
    family = marked(mark)
    for process in family:
        tell(process, signal.SIGTERM)
    return end(family, grace, signal.SIGKILL)
