"""Drives a Slurm cluster over one connection: sends what is queued, polls, cancels, tidies.

Each turn does what is due and no more. A broken connection changes no job: a batch of which
nothing is known stays unconfirmed until it can be looked for, and a site that stays out of
reach is degraded, so that what waits for it may go elsewhere.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from hpc.remote import TruncatedAnswer
from hpc.sites.retries import Retries
from hpc.sites.retrieval import retrieve
from hpc.sites.slurm.answers import Hello, SiteTrouble
from hpc.sites.slurm.canceller import Canceller
from hpc.sites.slurm.cluster import Cluster
from hpc.sites.slurm.leftovers import find_orphans, sweep
from hpc.sites.slurm.poller import Poller
from hpc.sites.slurm.relay import ArchiveShares, OfflineRelay
from hpc.sites.slurm.script_ends import ScriptEnds
from hpc.sites.slurm.scripts import SiteScripts
from hpc.sites.slurm.state import SiteState
from hpc.sites.slurm.submitter import Submitter
from hpc.sites.transfers import BackgroundTransfers
from hpc.tokens import Keys
from hpc.transport.errors import CircuitOpen, WireError
from hpc.transport.ssh import SshLink
from schemas.sites import Site
from track.commands.site_health import degrade, leave, recover
from track.jobs.batches import open_keys
from track.schema.database import transact

DEGRADED_AFTER_S = 30.0
HELLO_S = 900.0
HELLO_AGAIN_S = 30.0
TIDY_S = 3600.0
KEPT_DAYS = 14

log = logging.getLogger(__name__)


@dataclass
class SlurmDriver:
    """Drives one site over `wire`; what must not be lost is in the database."""

    site: Site
    engine: AsyncEngine
    keys: Keys
    callback: str
    runner: Path
    wire: SshLink
    prelude: str = ""
    file_proxy: str = ""
    outputs: Path | None = None
    archive_shares: ArchiveShares | None = None
    clock: Callable[[], float] = time.monotonic
    state: SiteState = field(init=False)
    submitter: Submitter = field(init=False)
    poller: Poller = field(init=False)
    scripts: SiteScripts = field(init=False)
    script_ends: ScriptEnds = field(init=False)
    canceller: Canceller = field(init=False)
    transfers: BackgroundTransfers = field(default_factory=BackgroundTransfers)
    retrievals: Retries[int] = field(default_factory=Retries)
    greeting: Retries[str] = field(init=False)
    _failing_since: float | None = None
    _greet_at: float = 0.0
    _tidy_at: float = 0.0
    _last_answer: str = ""

    def __post_init__(self) -> None:
        cluster = Cluster(self.wire, self.site.root, self.prelude)
        relay = None
        if self.archive_shares is not None and not self.callback:
            relay = OfflineRelay(self.engine, cluster, self.archive_shares, self.transfers)
        self.state = SiteState(
            self.site,
            self.engine,
            self.keys,
            self.callback,
            self.runner,
            cluster,
            relay,
            self.clock,
        )
        self.greeting = Retries(self.clock)
        self.submitter = Submitter(self.state)
        self.poller = Poller(self.state)
        self.scripts = SiteScripts(self.state, self.submitter, self.file_proxy)
        self.script_ends = ScriptEnds(self.state)
        self.canceller = Canceller(self.state)

    async def adopt(self, wake: Callable[[], None] | None = None) -> None:
        """Continue with what an earlier driver of this site meant to send or had sent."""
        await self.state.recall()
        await self.submitter.adopt()

    async def turn(self) -> float | None:
        """Send what is queued, poll what is under way, report what ended.

        The seconds after which what was queued too soon after the last submission is due.
        """
        self.submitter.pace.holding = False
        try:
            self.transfers.reap_finished()
            await self.greet()
            await self._do_steps()
        except (WireError, TruncatedAnswer, SiteTrouble) as error:
            if not isinstance(error, CircuitOpen):
                log.warning("site %s: %s", self.site.name, error)
            await self._troubled(error)
        else:
            await self._well()
        return self.submitter.pace.due_s(self.clock())

    async def _do_steps(self) -> None:
        """Every step, also after one that the site has trouble with: on a full disk nothing
        can be sent, and the last step is the one that makes room.

        Raises WireError, TruncatedAnswer, and the first SiteTrouble.
        """
        steps: tuple[Callable[[], Awaitable[object]], ...] = (
            self.submitter.send,
            self.scripts.run_due,
            self._stop,
            self.poller.poll,
            self.script_ends.poll,
            self._retrieve,
            self._tidy,
        )
        troubles = []
        for step in steps:
            try:
                await step()
            except SiteTrouble as trouble:
                troubles.append(trouble)
        if troubles:
            raise troubles[0]

    async def close(self) -> None:
        """Close the connection; what runs over there goes on."""
        await self.transfers.close()
        await self.wire.close()

    async def greet(self) -> None:
        """Ask the site for its state, at first and now and then. Raises SiteTrouble."""
        state = self.state
        due = state.scontrol.again_at if state.scontrol.open else self._greet_at
        if state.hello is not None and self.clock() < due:
            return
        if not self.callback and state.relay is None:
            raise SiteTrouble(
                "its nodes have no way to us (callback: none), and this driver cannot carry: "
                "name a callback address they reach"
            )
        hello = await self._hello()
        if hello.troubles:
            raise SiteTrouble("; ".join(hello.troubles))
        if hello.missing:
            raise SiteTrouble(f"no {', '.join(hello.missing)} in the PATH there: {hello.remedy}")
        self._greet_at = self.clock() + (HELLO_S if hello.answers else HELLO_AGAIN_S)
        if hello.silence:
            state.scontrol.note(hello.silence, self.clock())
        else:
            state.scontrol.clear()
        state.hello, state.runner_there = hello, hello.has_runner
        if hello.answers:
            state.allowed = await state.cluster.allowed(accounting=hello.accounting)

    async def _hello(self) -> Hello:
        """What the site says of itself. After an answer that is not our script's, such as that a
        password has expired, it is asked again after a growing pause."""
        if not self.greeting.is_due("hello"):
            raise CircuitOpen(f"left alone for a while: {self._last_answer}")
        try:
            hello = await self.state.cluster.hello(self.state.runner.name)
        except TruncatedAnswer as error:
            self.greeting.fail("hello")
            self._last_answer = str(error)
            raise
        self.greeting.forget("hello")
        return hello

    async def _stop(self) -> None:
        """End what nobody wants; then close the batches that are over, whose jobs are not
        cancelled any more.

        Which those are is read first: what is given up meanwhile was not cancelled yet.
        """
        spent = await self.poller.spent_batches()
        if await self.canceller.cancel():
            soon = self.clock() + 1.0
            self.poller.due_at = min(self.poller.due_at, soon)
            self.script_ends.due_at = min(self.script_ends.due_at, soon)
        await self.poller.close_batches(spent)

    async def _retrieve(self) -> None:
        """Have stages' outputs fetched."""
        if self.outputs is not None:
            self.transfers.begin("outputs", partial(self._retrieve_outputs, self.outputs))

    async def _retrieve_outputs(self, outputs: Path) -> None:
        source = self.state.cluster.outputs
        await retrieve(self.engine, self.site.name, source, outputs, self.retrievals)

    async def _tidy(self) -> None:
        """Now and then, remove what ended batches left over there."""
        now = self.clock()
        if now < self._tidy_at:
            return
        self._tidy_at = now + TIDY_S
        keys = await transact(self.engine, open_keys, self.site.name)
        await self.state.cluster.tidy(sorted(keys), KEPT_DAYS)
        if orphans := await find_orphans(self.state, KEPT_DAYS):
            log.warning(
                "site %s: %d folders under assets/ belong to no asset of ours, such as %s; "
                "they are left alone",
                self.site.name,
                len(orphans),
                orphans[0],
            )
        self.transfers.begin("sweep", self._sweep)

    async def _sweep(self) -> None:
        if removed := await sweep(self.state):
            log.info("site %s: the folders of %d assets are removed", self.site.name, removed)

    async def _troubled(self, error: Exception) -> None:
        """Degrade the site after a while of trouble, or at once where only a person can help."""
        now = self.clock()
        self._failing_since = now if self._failing_since is None else self._failing_since
        needs_operator = isinstance(error, WireError) and error.needs_operator
        lasting = now - self._failing_since >= DEGRADED_AFTER_S
        if needs_operator or lasting or isinstance(error, SiteTrouble):
            await self._degrade(str(error), renew=needs_operator)

    async def _well(self) -> None:
        self._failing_since = None
        if fault := self.state.faulty() or self.state.unanswered():
            await self._degrade(fault)
        elif not self.state.unsure:
            await transact(self.engine, recover, self.site.name)

    async def _degrade(self, why: str, *, renew: bool = False) -> None:
        name = self.site.name

        async def work(tx: AsyncConnection) -> int:
            await degrade(tx, name, why, renew=renew)
            return await leave(tx, name, why=f"site {name}: {why}")

        moved = await transact(self.engine, work)
        if moved:
            log.info("site %s: %d queued jobs moved elsewhere", name, moved)
