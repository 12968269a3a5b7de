"""The processes of a running system, named so that each can be killed in the middle of its work.

What is killed on purpose shows that nothing is lost by it: tests choose the moment, a
campaign leaves it to chance.
"""

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg

from refinery import state
from refinery.addresses import databases
from refinery.local.service import descendants
from refinery.processes import identify, marked
from refinery.settings import Settings

SERVICES = (
    "prefect",
    "worker",
    "worker-housekeeping",
    "api-clusters",
    "sites",
    "ars",
    "watch",
    "postgres",
)

DISPATCHERS = "SELECT process FROM track.dispatcher WHERE ended_at IS NULL AND alive_until > now()"
RUNNERS = "SELECT external_id FROM track.batch WHERE ended_at IS NULL AND external_id LIKE 'pid %'"


def service(settings: Settings, name: str) -> list[int]:
    """The process that is a service now; none while it is being started again."""
    found = state.read(settings).services.get(name)
    return [found.pid] if found is not None and found.alive() else []


def dispatchers(settings: Settings) -> list[int]:
    """The flow runs that hold a lease."""
    return alive(int(str(process)) for (process,) in ask(settings, DISPATCHERS))


def runners(settings: Settings) -> list[int]:
    """The processes that run batches at the local site."""
    found = (str(external).removeprefix("pid ") for (external,) in ask(settings, RUNNERS))
    return alive(int(pid) for pid in found)


def agents(settings: Settings) -> list[int]:
    """The agents that take work of this system on this machine."""
    found = []
    for process in marked(state.mark(settings)):
        with suppress(psutil.Error):  # it may end while it is looked at
            words = process.cmdline()
            if "run" in words and any(Path(word).match("agent-*.pyz") for word in words):
                found.append(process.pid)
    return found


def agents_runners(settings: Settings) -> list[int]:
    """The processes that run batches for agents."""
    return [child.pid for agent in agents(settings) for child in descendants(agent)]


def everything(settings: Settings) -> list[int]:
    """The supervisor, its services, PostgreSQL, flow runs and runners."""
    now = state.read(settings)
    heads = [identity.pid for identity in now.services.values() if identity.alive()]
    if now.supervisor is not None and now.supervisor.alive():
        heads.append(now.supervisor.pid)
    family = {process.pid for process in marked(state.mark(settings))}
    below = {child.pid for head in heads for child in descendants(head)}
    return sorted({*heads, *family, *below} - {os.getpid()})


KINDS: dict[str, Callable[[Settings], list[int]]] = {
    "dispatcher": dispatchers,
    "runner": runners,
    "agent": agents,
    "an agent's runner": agents_runners,
    "everything": everything,
    **{name: partial(service, name=name) for name in SERVICES},
}
"""Who can be killed, by name."""


def kill(pids: Iterable[int], number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to those that still live."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def alive(pids: Iterable[int]) -> list[int]:
    """Those that run."""
    found = ((pid, identify(pid)) for pid in pids)
    return [pid for pid, process in found if process is not None and process.alive()]


def ask(settings: Settings, statement: str, database: str = "refinery") -> list[tuple[object, ...]]:
    """Rows of our own database, or the stand-in's (`ars`); none while it does not answer."""
    urls = databases(settings, state.read(settings).ports)
    address = urls[database].replace("postgresql+psycopg://", "postgresql://")
    try:
        with psycopg.connect(address, connect_timeout=5) as connection:
            return connection.execute(statement.encode()).fetchall()
    except psycopg.OperationalError:
        return []
