"""Drives the local site: the cluster's own runner as a subprocess of this machine.

Whether a runner is still at a batch is read from a lock that it inherits
(`hpc.agent.processes`). So the driver that follows a killed one sees what ended meanwhile.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hpc.agent.processes import end_leftovers, is_alive, send_signal, spawn
from hpc.ends import AS_ASKED, Meaning, blames_site, by_code, of_runner
from hpc.runner.tail import output_of, read_tail
from hpc.scheduler.ladder import asked_for
from hpc.sites.collect import collect_results, report
from hpc.sites.faults import SiteFaults
from hpc.sites.local import scripts
from hpc.sites.local.folders import batch_folders, clear_folder, sweep_folder, write_batch
from hpc.sites.local.process import call_at_end, environment
from hpc.sites.retries import Retries
from hpc.sites.retrieval import LocalSource, retrieve
from hpc.sites.scripts import script_command
from hpc.sites.transfers import BackgroundTransfers
from hpc.tokens import Keys
from schemas.pipeline.model import Resources
from schemas.sites import Site
from track.commands.site_health import degrade, leave, recover
from track.jobs.batches import (
    Batch,
    Member,
    mark_ended,
    mark_submitted,
    open_batches,
    open_keys,
    read_batches,
    went_well,
)
from track.jobs.batching import take_batches
from track.schema.database import transact

log = logging.getLogger(__name__)

SWEEP_S = 3600.0
MEMBERS_AT_ONCE = 8
"""Assets that one runner takes one after another, so that libraries load once."""

GRACE_S = 30.0
"""What a runner is given to report how far it came before it is killed."""


@dataclass
class Stop:
    """One member that is being stopped since `at`, in seconds of the driver's clock."""

    attempt: int
    signal: signal.Signals
    meaning: Meaning
    at: float
    killed: bool = False


@dataclass
class LocalDriver:
    """Drives this machine: at most `site.capacity` runners at a time.

    `callback` is the clusters' API; `runner` the zipapp that every site runs; `outputs` the
    folder that stages' outputs are brought to; `file_proxy` the base of the links that scripts
    are given.
    """

    site: Site
    engine: AsyncEngine
    keys: Keys
    callback: str
    runner: Path
    outputs: Path | None = None
    file_proxy: str = ""
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    under_way: dict[int, Batch] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    stops: dict[int, Stop] = field(default_factory=dict)
    transfers: BackgroundTransfers = field(default_factory=BackgroundTransfers)
    faults: SiteFaults = field(default_factory=SiteFaults)
    retrievals: Retries[int] = field(default_factory=Retries)
    _wake: Callable[[], None] | None = None
    _sweep_at: float = 0.0

    @property
    def root(self) -> Path:
        """The site's folder on this machine."""
        return Path(self.site.root).absolute()

    async def adopt(self, wake: Callable[[], None] | None = None) -> None:
        """Read the batches an earlier driver left; what has no runner any more is finished."""
        self._wake = wake
        left = await transact(self.engine, open_batches, self.site.name)
        for batch in await self._read(left):
            if is_alive(self._folder(batch)):
                self.under_way[batch.id] = batch
            else:
                await self._finish(batch, exit_code=None)

    async def turn(self) -> None:
        """Finish what ended, then fill the free places; a turn without trouble ends a degrade."""
        self.transfers.reap_finished()
        for batch in list(self.under_way.values()):
            if not self._still_runs(batch):
                process = self.running.pop(batch.id, None)
                del self.under_way[batch.id]
                await self._finish(batch, exit_code=None if process is None else process.returncode)
        await self._stop_due()
        if self.outputs is not None:
            self.transfers.begin("outputs", partial(self._retrieve_outputs, self.outputs))
        fault = self.faults.held(self.clock())
        while not fault and (free := self.site.capacity - len(self.under_way)) > 0:
            if not await self._start_more(free):
                break
        if self.clock() >= self._sweep_at:
            self._sweep_at = self.clock() + SWEEP_S
            await self._sweep()
        await transact(self.engine, self._show_state, fault)

    async def _show_state(self, tx: AsyncConnection, fault: str) -> None:
        """Have the site shown as it is; what waits here while it is held goes elsewhere."""
        if not fault:
            await recover(tx, self.site.name)
            return
        await degrade(tx, self.site.name, fault)
        await leave(tx, self.site.name, why=f"site {self.site.name}: {fault}")

    def _note_fault(self, members: Sequence[Member], exit_code: int | None) -> None:
        """Note whether a runner that ended by itself got as far as a start."""
        if any(member.started for member in members):
            self.faults.clear()
        elif any(member.open for member in members) and blames_site(
            by_code(exit_code), started=False
        ):
            python = self.site.python or sys.executable
            why = (
                f"its runners end with code {exit_code} before they start: see the logs in "
                f"{self.root}/batches, and whether {python} runs and reaches {self.callback}"
            )
            self.faults.note(why, self.clock())

    async def _retrieve_outputs(self, outputs: Path) -> None:
        source = LocalSource(self.root)
        await retrieve(self.engine, self.site.name, source, outputs, self.retrievals)

    async def close(self) -> None:
        """Runners outlive their driver: what they report is applied without it."""
        await self.transfers.close()

    async def _start_more(self, free: int) -> bool:
        taken = await transact(
            self.engine,
            take_batches,
            self.site.name,
            members=free * MEMBERS_AT_ONCE,
            size=MEMBERS_AT_ONCE,
            batches=free,
            shape=partial(asked_for, self.site.resources),
        )
        for batch in await self._read(taken):
            await self._launch(batch)
        return bool(taken)

    async def _launch(self, batch: Batch) -> None:
        folder = self._folder(batch)
        await asyncio.to_thread(write_batch, folder, batch, self.keys, self.callback, self.root)
        await self._run(batch, range(len(batch.members)))

    async def _run(self, batch: Batch, lines: Sequence[int]) -> None:
        command = await self._command(batch, lines)
        variables = environment(os.environ, self.callback)
        process = await asyncio.to_thread(spawn, self._folder(batch), command, variables)
        if self._wake is not None:
            call_at_end(process, self._wake)
        self.running[batch.id] = process
        self.under_way[batch.id] = batch
        await transact(self.engine, mark_submitted, batch.id, f"pid {process.pid}")

    async def _command(self, batch: Batch, lines: Sequence[int]) -> list[str]:
        """What runs these lines of a batch: the runner, or a script of the site's own."""
        folder = self._folder(batch)
        if batch.is_script:
            async with self.engine.connect() as tx:
                found = await script_command(tx, batch.members[0], self.file_proxy)
            return scripts.wrapped(found, folder, self.site)
        return [
            self.site.python or sys.executable,
            str(self.runner),
            *("--batch", str(folder)),
            *("--index", ",".join(map(str, lines))),
            *("--native-id", batch.key),
        ]

    def _still_runs(self, batch: Batch) -> bool:
        process = self.running.get(batch.id)
        if process is not None and (process.poll() is None or not batch.is_script):
            return process.returncode is None
        return is_alive(self._folder(batch))  # what a script started may outlive it

    async def _finish(self, batch: Batch, *, exit_code: int | None) -> None:
        """Apply what a gone runner left, and report what ended without a result.

        Members after one that was stopped go on: nothing is wrong with them.
        """
        folder = self._folder(batch)
        stop = self.stops.pop(batch.id, None)
        if batch.is_script:
            stopped = None if stop is None else stop.meaning
            well = await scripts.close_batch(self.engine, batch, folder, self._actor(), stopped)
            await asyncio.to_thread(clear_folder, folder, well=well)
            return
        await asyncio.to_thread(end_leftovers, folder)
        await collect_results(self.engine, folder / "results")
        printed = await asyncio.to_thread(_printed, folder, [each.line for each in batch.members])

        async def work(tx: AsyncConnection) -> tuple[Sequence[Member], list[int], bool]:
            members = (await read_batches(tx, [batch.id]))[0].members
            left = []
            for member in members:
                if not member.open:
                    continue
                if stop is not None and not member.started and member.attempt != stop.attempt:
                    left.append(member.line)
                else:
                    found = of_runner(exit_code, started=member.started)
                    if stop is not None and member.attempt == stop.attempt:
                        found = stop.meaning
                    await report(
                        tx,
                        member.attempt,
                        found,
                        actor=self._actor(),
                        exit_code=exit_code,
                        printed=printed[member.line],
                    )
            if not left:
                await mark_ended(tx, batch.id)
            return members, left, await went_well(tx, batch.id)

        members, left, well = await transact(self.engine, work)
        if stop is None:  # counted here, since a transaction may be done several times
            self._note_fault(members, exit_code)
        if left:
            await self._run(batch, left)
        else:
            await asyncio.to_thread(clear_folder, folder, well=well)

    async def _stop_due(self) -> None:
        """Stop members that were cancelled or whose time ran out, in the end by force."""
        now = self.clock()
        for batch in await self._read(list(self.under_way)):
            stop = self.stops.get(batch.id)
            if stop is None:
                if (stop := due_stop(batch, now)) is not None:
                    self.stops[batch.id] = stop
                    await asyncio.to_thread(self._signal, batch, stop.signal)
            elif not stop.killed and now - stop.at > GRACE_S:
                stop.killed = True
                await asyncio.to_thread(self._signal, batch, signal.SIGKILL)

    def _signal(self, batch: Batch, number: signal.Signals) -> None:
        process = self.running.get(batch.id)
        send_signal(self._folder(batch), None if process is None else process.pid, number)

    async def _sweep(self) -> None:
        """Remove what ended batches left, also one whose driver was killed before it did."""
        root = self.root / "batches"
        known = await asyncio.to_thread(batch_folders, root)
        # Read after the folders: a batch is known before it has one.
        running = await transact(self.engine, open_keys, self.site.name)
        for folder in known:
            if folder.name in running or is_alive(folder):
                continue
            await collect_results(self.engine, folder / "results")
            await asyncio.to_thread(sweep_folder, folder)

    async def _read(self, ids: Sequence[int]) -> list[Batch]:
        return await transact(self.engine, read_batches, ids)

    def _folder(self, batch: Batch) -> Path:
        return self.root / "batches" / batch.key

    def _actor(self) -> str:
        return f"driver:{self.site.name}"


def _printed(folder: Path, lines: Sequence[int]) -> dict[int, str | None]:
    """What members of a batch printed last, by their lines; a killed runner reported nothing."""
    return {line: read_tail(output_of(folder, line)) for line in lines}


def due_stop(batch: Batch, now: float) -> Stop | None:
    """What has to be stopped of a batch that runs, if anything.

    Members run one after another: the one that is started is stopped, and those after it go on in
    a runner of their own. As at a scheduler, a time limit is signalled to the runner first, which
    then reports it itself.
    """
    unfinished = [member for member in batch.members if member.open]
    at_work = [member for member in unfinished if member.started][:1]
    concerned = at_work or unfinished
    if concerned and all(member.cancelled for member in concerned):
        cancelled = Meaning("cancelled", False, AS_ASKED)
        return Stop(concerned[0].attempt, signal.SIGTERM, cancelled, now)
    limit = Resources.model_validate(batch.resources).time_s
    for member in at_work:
        if limit is not None and member.runs_s is not None and member.runs_s > limit:
            why = f"its time ran out: it may run for {limit} s (resources.time)"
            return Stop(member.attempt, signal.SIGUSR1, Meaning("timeout", True, why), now)
    return None
