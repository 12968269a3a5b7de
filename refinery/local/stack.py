"""The system on one host, started in the order its parts need each other.

What can start at the same time does: Prefect's server and its deployments, our own database and
the archive's stand-in; then the workers.
"""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Any

import httpx

from refinery import state
from refinery.addresses import DATABASES, Addresses, choose_ports, resolve
from refinery.local import environment
from refinery.local.postgres import RECOVERS, EmbeddedPostgres
from refinery.local.service import Service, Supervisor
from refinery.postgres_home import bare_environment
from refinery.processes import ProcessId, identify, sweep
from refinery.services import APPS
from refinery.settings import Settings

Say = Callable[[str], None]
SWEEP_S = 10.0

HOUSEKEEPING = 6
"""Flow runs of housekeeping and operators at once: two of reconcile, prune, and three verbs."""


class AlreadyRunning(RuntimeError):
    """Another `refinery up` runs this system; the message says which process and where."""


class NotAProject(RuntimeError):
    """Started in a folder that holds nothing to deploy; the message says where to."""


class NoDatabase(RuntimeError):
    """The database, which may be one of the museum's own, does not answer."""


@asynccontextmanager
async def running(settings: Settings, say: Say) -> AsyncIterator[Addresses]:
    """The system, from ready to stopped; whatever ends the block, everything is stopped.

    Raises NotAProject, AlreadyRunning, ServiceError, PostgresError, NoDatabase or
    DatabaseIsNewer.
    """
    if not (settings.project_dir / "prefect.yaml").is_file():
        raise NotAProject(
            f"{settings.project_dir} holds no prefect.yaml: "
            "change to the folder of the refinery itself, with README.md and prefect.yaml in it"
        )
    with lock(settings):
        stack = Stack(settings, say)
        try:
            await stack.bring_up()
            yield stack.addresses
        finally:
            await asyncio.shield(stack.stop())


@contextmanager
def lock(settings: Settings) -> Iterator[None]:
    """Lock the system for this process; the kernel releases the lock however we end."""
    folder = settings.state / "run"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(whereabouts(settings)) from None
        yield
    finally:
        os.close(handle)


def whereabouts(settings: Settings) -> str:
    """The error text of a second start, about the first."""
    now = state.read(settings)
    if now.supervisor is None or not now.ready:
        return f"The system in {settings.state} is being started or stopped already."
    return (
        f"The system in {settings.state} runs already (process {now.supervisor.pid}), "
        f"Prefect at http://127.0.0.1:{now.ports['prefect']}. Stop it with 'refinery stop'."
    )


class Stack:
    """The services of one system and the order they start in."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self.settings = settings
        self._say = say
        ports = choose_ports(settings, state.read(settings).ports)
        self._state = state.SystemState(ports=ports, supervisor=identify(os.getpid()))
        self._supervisor = Supervisor(settings.logs, say, self._changed)
        self._postgres = embedded(settings, ports["postgres"])

    @property
    def addresses(self) -> Addresses:
        """Where everything answers; the embedded database must have been prepared."""
        return resolve(self.settings, self._state.ports)

    async def bring_up(self) -> None:
        """Start everything; returns when it is ready.

        Raises ServiceError, PostgresError, NoDatabase or DatabaseIsNewer.
        """
        await asyncio.to_thread(sweep, state.mark(self.settings), SWEEP_S)
        self._write(self._state)
        self._report_moved_ports()
        if self.settings.embedded_database:
            await self._start_postgres()
        await asyncio.to_thread(self._refuse_newer)
        # Set-up imports Prefect while its server still migrates, and waits for it.
        await together(self._prefect(), self._set_up(), self._database(), self._ars())
        # Runs that waited through an upgrade find the tables and deployments of this release.
        await self._workers()
        await self._start("watch", *ours("watch"))
        self._write(replace(self._state, ready=True))

    async def stop(self) -> None:
        """Stop everything, last started first, and sweep up what was left behind."""
        self._write(replace(self._state, ready=False))
        await self._supervisor.stop()
        await asyncio.to_thread(sweep, state.mark(self.settings), SWEEP_S)
        self._write(self._state.stopped())

    async def _start_postgres(self) -> None:
        postgres = self._postgres
        await asyncio.to_thread(postgres.prepare)

        async def answers() -> bool:
            return await asyncio.to_thread(postgres.answers)

        await self._supervisor.start(
            Service(
                name="postgres",
                argv=tuple(postgres.command()),
                env=bare_environment(),
                cwd=postgres.home,
                ready=answers,
                prepare=postgres.prepare,
                account=postgres.account,
                stop_signal=signal.SIGINT,
                kill_signal=signal.SIGQUIT,
                stop_seconds=60,
                doing=RECOVERS,
            )
        )
        for name in DATABASES:
            await asyncio.to_thread(postgres.ensure_database, name)

    def _refuse_newer(self) -> None:
        """Look before anything of an older release, as its deployments, gets in.

        Raises DatabaseIsNewer or NoDatabase.
        """
        from sqlalchemy.exc import OperationalError

        from track.schema.migrations import refuse_newer

        try:
            refuse_newer(self.addresses.database)
        except OperationalError as error:
            raise NoDatabase(
                f"The database does not answer (database_url, if it is set): {error.orig}"
            ) from error

    async def _prefect(self) -> None:
        port = str(self._state.ports["prefect"])
        command = ("refinery.local.prefect_server", "server", "start", "--host", "127.0.0.1")
        argv = (sys.executable, "-m", *command)
        env = environment.of_server(self.settings, self.addresses)
        health = answering(f"{self.addresses.prefect_api}/health")
        doing = "it migrates its database"
        await self._start("prefect", *argv, "--port", port, env=env, ready=health, doing=doing)

    async def _workers(self) -> None:
        await self._start("worker", *worker(self.settings.work_pool, self.settings.flow_runs))
        places = worker(self.settings.housekeeping_pool, HOUSEKEEPING)
        await self._start("worker-housekeeping", *places)

    async def _database(self) -> None:
        await self._run("migrate", *ours("migrate"), doing="our tables are brought up to date")
        for name in APPS:
            port = self._state.ports[name]
            health = answering(f"http://{self.settings.host_of(name)}:{port}/health")
            await self._start(f"api-{name}", *ours("api", name), ready=health)
        await self._start("sites", *ours("sites"))

    async def _ars(self) -> None:
        if self.settings.stand_in_ars:
            health = answering(f"{self.addresses.ars}/ars/actuator/health")
            await self._start("ars", *ours("ars"), ready=health)

    async def _set_up(self) -> None:
        argv = (sys.executable, "-m", "refinery.local.prefect_setup")
        await self._run("setup", *argv, doing="deployments are made in Prefect")

    async def _start(self, name: str, *argv: str, **options: Any) -> None:
        await self._supervisor.start(self._service(name, *argv, **options))
        self._say(f"{name} is up")

    async def _run(self, name: str, *argv: str, doing: str) -> None:
        await self._supervisor.run(self._service(name, *argv, doing=doing))

    def _service(self, name: str, *argv: str, **options: Any) -> Service:
        env = options.pop("env", None) or environment.common(self.settings, self.addresses)
        return Service(name, argv, env, self.settings.project_dir, **options)

    def _changed(self, services: dict[str, ProcessId]) -> None:
        self._write(replace(self._state, services=services))

    def _write(self, new: state.SystemState) -> None:
        self._state = new
        state.write(self.settings, new)

    def _report_moved_ports(self) -> None:
        for name, port in self._state.ports.items():
            wanted = getattr(self.settings, f"{name}_port")
            if wanted not in (0, port):
                self._say(f"port {wanted} is busy: {name} is at {port} instead")


def embedded(settings: Settings, port: int) -> EmbeddedPostgres:
    """The cluster that belongs to this system, started or not."""
    return EmbeddedPostgres(
        settings.state / "pg",
        port=port,
        home=settings.postgres_home,
        log=settings.logs / "postgres.log",
    )


def worker(pool: str, places: int) -> tuple[str, ...]:
    """The argv of a worker that starts so many flow runs of a pool at once."""
    command = ("worker", "start", "--pool", pool, "--type", "process", "--limit", str(places))
    return (sys.executable, "-m", "prefect", *command)


def ours(*arguments: str) -> tuple[str, ...]:
    """The argv of one of our own commands."""
    return (sys.executable, "-m", "refinery.cli", *arguments)


def answering(url: str) -> Callable[[], Any]:
    """A probe that is true once the URL answers 200."""

    async def probe() -> bool:
        try:
            async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
                return (await client.get(url)).status_code == 200
        except httpx.HTTPError:
            return False

    return probe


async def together(*parts: Any) -> None:
    """Await all at once; the first failure ends the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(part)
    except ExceptionGroup as failed:
        raise first(failed) from failed


def first(group: BaseExceptionGroup[Any]) -> BaseException:
    """The first of the errors in a group."""
    error = group.exceptions[0]
    return first(error) if isinstance(error, BaseExceptionGroup) else error
