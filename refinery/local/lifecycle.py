"""`refinery up` and `refinery stop`, in the foreground or detached."""

import asyncio
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable

from refinery import state
from refinery.addresses import Addresses
from refinery.local.service import added, tail
from refinery.local.stack import SWEEP_S, Say, embedded, lock, running
from refinery.processes import marked, sweep
from refinery.settings import Settings
from refinery.waiting import Waiting

Work = Callable[[Addresses], Awaitable[None]]


class NotStarted(RuntimeError):
    """A detached system did not start; the message holds the end of its log."""


def up(settings: Settings, say: Say, work: Work) -> None:
    """Start the system, do `work` in it, and stop it when that ends or a signal comes.

    Raises what the start or the work raises; returns after a signal.
    """

    async def serve() -> None:
        async with running(settings, say) as addresses:
            await work(addresses)

    async def interruptible() -> None:
        task = asyncio.ensure_future(serve())
        asked = False

        def ask() -> None:
            # Once only: a second cancel would interrupt the orderly stop itself.
            nonlocal asked
            if not asked:
                asked = True
                say("stopping")
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, ask)
        try:
            await task
        except asyncio.CancelledError:
            if not asked:
                raise

    asyncio.run(interruptible())


async def for_ever(_: Addresses) -> None:
    """The work of a system that runs until a signal ends it."""
    await asyncio.Event().wait()


def detach(settings: Settings, say: Say) -> state.SystemState:
    """Start the system in the background and wait until it is ready, passing on its log.

    There is no timeout: raises NotStarted only when it has ended.
    """
    log = settings.logs / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        shown = out.tell()
        process = subprocess.Popen(
            [sys.executable, "-m", "refinery.cli", "up"],
            cwd=settings.project_dir,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    while True:
        lines, shown = added(log, shown)
        for line in lines:
            say(line)
        now = state.read(settings)
        if now.ready and now.supervisor and now.supervisor.pid == process.pid:
            # It outlives us on purpose: without this, Popen warns about a child left running.
            process.returncode = 0
            return now
        if process.poll() is not None:
            raise NotStarted(f"The system did not come up. The end of {log}:\n{tail(log)}")
        time.sleep(0.1)


def stop(settings: Settings, say: Say) -> bool:
    """Stop the system of these settings and wait for its end; False when nothing ran."""
    supervisor = state.read(settings).supervisor
    if supervisor is not None and supervisor.alive():
        supervisor.send(signal.SIGTERM)
        waiting = Waiting(
            f"process {supervisor.pid} to end",
            say,
            why="it stops its services one after another",
            log=settings.logs / "up.log",
        )
        while supervisor.alive():
            waiting.go_on()
            time.sleep(0.05)
        return True
    return stop_leftovers(settings)


def stop_leftovers(settings: Settings) -> bool:
    """End what a killed supervisor left behind; whether there was anything."""
    found = bool(marked(state.mark(settings)))
    sweep(state.mark(settings), SWEEP_S)
    now = state.read(settings)
    if settings.embedded_database and now.ports:
        found = embedded(settings, now.ports["postgres"]).end_orphans() or found
    if now.ports:
        state.write(settings, now.stopped())
    return found


def forget(settings: Settings, *, really: bool) -> str:
    """Remove the state folder and its database cluster; the answer for a person.

    Raises AlreadyRunning while the system runs.
    """
    if not settings.state.is_dir():
        return f"{settings.state} does not exist"
    homes = {settings.state, embedded(settings, 0).home}
    named = " and ".join(str(home) for home in sorted(homes))
    if not really:
        return f"this would remove {named}: say so with --yes"
    with lock(settings):
        stop_leftovers(settings)
        for home in homes:
            shutil.rmtree(home)
    return f"removed {named}"
