"""Keeping services alive: started as our children, restarted when they die, stopped in order.

Each service leads a session of its own, so a Ctrl-C at the terminal reaches only us, and we
decide in which order the system ends.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from refinery.postgres_home import Account
from refinery.processes import ProcessId, end, identify, send
from refinery.waiting import Waiting
from schemas.backoff import Backoff
from tasks.background import keep

PAUSES = Backoff(0.5, 30.0)
SETTLED_S = 60.0  # a service that lived this long starts again with the shortest pause
LOG_LIMIT = 32_000_000  # bytes; a larger log is set aside at the next start


class ServiceError(RuntimeError):
    """A service did not start; the message holds its name and the end of its log."""


@dataclass(frozen=True)
class Service:
    """One process to keep alive.

    `ready` says whether it serves (None: it serves once it runs); `prepare` is blocking work
    before every start; `doing` is what keeps it meanwhile, for the person who waits.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    ready: Callable[[], Awaitable[bool]] | None = None
    prepare: Callable[[], None] | None = None
    account: Account = field(default_factory=Account)
    stop_signal: signal.Signals = signal.SIGTERM
    kill_signal: signal.Signals = signal.SIGKILL
    stop_seconds: float = 15.0
    doing: str = ""


@dataclass
class Running:
    """A service and the process that is it now."""

    service: Service
    process: asyncio.subprocess.Process
    watcher: asyncio.Task[None] | None = None


class Supervisor:
    """Starts services, watches over them, and stops them in the reverse order.

    `say` gets what a person should see; `changed` gets the processes whenever they change.
    """

    def __init__(
        self,
        logs: Path,
        say: Callable[[str], None],
        changed: Callable[[dict[str, ProcessId]], None],
    ) -> None:
        self._logs = logs
        self._say = say
        self._changed = changed
        self._running: dict[str, Running] = {}
        self._stopping = False

    async def start(self, service: Service) -> None:
        """Start a service and wait until it serves. Raises ServiceError when it ends instead."""
        process = await self._spawn(service)
        running = self._running[service.name] = Running(service, process)
        self._report()
        await self._serving(service, process)
        running.watcher = keep(partial(self._watch, running), f"the watch over {service.name}")

    async def run(self, service: Service) -> None:
        """Run a service that ends by itself. Raises ServiceError unless it ends well."""
        process = await self._spawn(service)
        running = self._running[service.name] = Running(service, process)
        ended, waiting = asyncio.ensure_future(process.wait()), self._waiting(service)
        while not (await asyncio.wait([ended], timeout=1.0))[0]:
            waiting.go_on()
        code = ended.result()
        self._running.pop(service.name, None)
        if code != 0 and not self._stopping:
            raise self._failure(running.service, f"ended with code {code}")

    async def stop(self) -> None:
        """End every service and what it started, the last one first."""
        self._stopping = True
        for running in self._running.values():
            if running.watcher is not None:
                running.watcher.cancel()
        for running in reversed(list(self._running.values())):
            await self._end(running)
        self._running.clear()
        self._report()

    async def _spawn(self, service: Service) -> asyncio.subprocess.Process:
        if service.prepare is not None:
            await asyncio.to_thread(service.prepare)
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._log(service)
        if path.is_file() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        with path.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *service.argv,
                cwd=service.cwd,
                env=dict(service.env),
                user=service.account.uid,
                group=service.account.gid,
                extra_groups=service.account.extra_groups,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def _serving(self, service: Service, process: asyncio.subprocess.Process) -> None:
        """Wait until a started service serves, as long as it lives."""
        waiting = self._waiting(service)
        while service.ready is not None and not await service.ready():
            if process.returncode is not None:
                raise self._failure(service, f"stopped with code {process.returncode}")
            waiting.go_on()
            await asyncio.sleep(0.05)

    async def _watch(self, running: Running) -> None:
        """Start the service again whenever it dies, ever more slowly while it keeps dying."""
        service, deaths = running.service, 0
        while True:
            since = time.monotonic()
            code = await running.process.wait()
            deaths = 1 if time.monotonic() - since > SETTLED_S else deaths + 1
            pause = PAUSES.pause_s(deaths)
            self._say(
                f"{service.name} stopped with code {code}; it is started again in {pause:g} s. "
                f"Its log: {self._log(service)}"
            )
            await asyncio.sleep(pause)
            try:
                running.process = await self._spawn(service)
            except (OSError, RuntimeError) as error:
                self._say(f"{service.name} cannot be started: {error}")
                continue
            self._report()

    async def _end(self, running: Running) -> None:
        """Ask a service to end, then make it; then its descendants in the same way."""
        service, process = running.service, running.process
        family = descendants(process.pid) if process.returncode is None else []
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(service.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), service.stop_seconds)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(service.kill_signal)
            await process.wait()
        left = [member for member in family if member.is_running()]
        for member in left:
            send(member, signal.SIGTERM)
        await asyncio.to_thread(end, left, 5.0, signal.SIGKILL)

    def _failure(self, service: Service, what: str) -> ServiceError:
        path = self._log(service)
        return ServiceError(f"{service.name} {what}. The end of {path}:\n{tail(path)}")

    def _waiting(self, service: Service) -> Waiting:
        return Waiting(service.name, self._say, why=service.doing, log=self._log(service))

    def _log(self, service: Service) -> Path:
        return self._logs / f"{service.name}.log"

    def _report(self) -> None:
        alive = {
            name: identity
            for name, running in self._running.items()
            if (identity := identify(running.process.pid)) is not None
        }
        self._changed(alive)


def descendants(pid: int) -> list[psutil.Process]:
    """Everything that process started, and what those started."""
    try:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
        return found
    except psutil.NoSuchProcess:
        return []


def tail(path: Path, size: int = 2000) -> str:
    """The last `size` bytes of a log, as text."""
    if not path.is_file():
        return "(empty)"
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode("utf-8", "replace")


def added(path: Path, since: int) -> tuple[list[str], int]:
    """The complete lines that a log has gained since that byte, and where they end.

    A log that was begun anew is read from its start.
    """
    with path.open("rb") as file:
        file.seek(since if since <= path.stat().st_size else 0)
        complete, _, rest = file.read().rpartition(b"\n")
        return complete.decode("utf-8", "replace").splitlines(), file.tell() - len(rest)
