"""The real system for a benchmark, without what would only disturb: no worker, no watcher.

PostgreSQL, Prefect's server on it, the archive's stand-in, the clusters' API and the local
site's driver are the very processes that `refinery up` starts. Flows run in a process of
the benchmark's own, so that no start of a process is measured as the work in it.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import psutil  # type: ignore[import-untyped]
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.addresses import Addresses
from refinery.local import environment
from refinery.local.stack import Stack, lock, together
from refinery.settings import Settings
from tests.support.clusters import temporary_folder
from track.schema.database import make_engine

ROOT = Path(__file__).parents[2]
LEFT_OUT = ("worker", "worker-housekeeping", "watch")
START_S = 120.0


class FlowProcess:
    """One process that runs flows when asked; see `flow_process.py`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def start(cls, settings: Settings, addresses: Addresses) -> AsyncIterator[Self]:
        """Start it, wait until it takes orders, and kill it at the end of the block."""
        log = (settings.logs / "flows.log").open("ab")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("flow_process.py")),
            cwd=settings.project_dir,
            env=environment.common(settings, addresses),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            limit=2**20,
        )
        log.close()
        try:
            made = cls(process)
            async with asyncio.timeout(START_S):
                await made.hear()
            yield made
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    def peak_mb(self) -> float:
        """The most memory it has ever held, in MB, as the kernel counts it."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return peak_of(status)

    def ask(self, do: str, **fields: Any) -> None:
        """Say what to do; it begins at once."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")

    async def hear(self) -> dict[str, Any]:
        """Its next answer. Raises RuntimeError when it has ended instead."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that runs flows ended; see logs/flows.log")
        heard: dict[str, Any] = json.loads(line)
        return heard

    async def do(self, what: str, **fields: Any) -> dict[str, Any]:
        """Ask and wait for the answer."""
        self.ask(what, **fields)
        return await self.hear()


class QuietStack(Stack):
    """The services alone: nothing starts a flow by itself."""

    async def bring_up(self) -> None:
        self._write(self._state)
        await self._start_postgres()
        await together(self._prefect(), self._database(), self._ars())
        self._write(replace(self._state, ready=True))

    async def _start(self, name: str, *argv: str, **options: Any) -> None:
        if name not in LEFT_OUT:
            await super()._start(name, *argv, **options)

    @property
    def pids(self) -> dict[str, int]:
        """The processes by the name of their service."""
        return {name: each.pid for name, each in self._state.services.items()}


@dataclass(frozen=True)
class System:
    """A running system, an engine on its database, and its processes."""

    settings: Settings
    addresses: Addresses
    engine: AsyncEngine
    pids: dict[str, int]

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        """Bring a system up in a folder of its own; nothing of it is left afterwards."""
        with temporary_folder() as folder:
            (folder / "refinery.toml").write_text(_toml(folder), encoding="utf-8")
            settings = Settings.load(folder)
            with lock(settings):
                stack = QuietStack(settings, lambda _: None)
                try:
                    await stack.bring_up()
                    engine = make_engine(stack.addresses.database)
                    try:
                        yield cls(settings, stack.addresses, engine, stack.pids)
                    finally:
                        await engine.dispose()
                finally:
                    await stack.stop()

    def cpu_s(self, *more: tuple[str, int]) -> dict[str, float]:
        """Processor seconds so far by service; `runners` are those the site's driver reaped."""
        spent = {name: _tree_s(pid) for name, pid in (*self.pids.items(), *more)}
        times = psutil.Process(self.pids["sites"]).cpu_times()
        spent["sites"] = times.user + times.system
        spent["runners"] = _tree_s(self.pids["sites"]) - spent["sites"]
        return spent


def peak_of(status: str) -> float:
    """MB of resident memory at most, by a process's status of /proc."""
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


def _tree_s(pid: int) -> float:
    """Processor seconds of a process, of its living descendants and of those it reaped."""
    head = psutil.Process(pid)
    return sum(sum(each.cpu_times()[:4]) for each in (head, *head.children(recursive=True)))


def _toml(folder: Path) -> str:
    """Any free ports, pipelines of the project itself, and no site but this machine."""
    values: dict[str, Any] = {
        "pipelines": str(ROOT / "deployments" / "pipelines"),
        "postgres_home": str(folder / "pg"),
        "work_pool": "benchmarks",
    }
    ports = ("prefect", "clusters", "workstations", "ars")
    values |= {f"{name}_port": 0 for name in ports}
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
