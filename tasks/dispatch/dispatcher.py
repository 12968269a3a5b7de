"""The dispatcher: one process's lease on a session, and all that its subflows share.

It claims ready jobs, runs the flow of each at once, has Prefect show that beside it, and claims
again whenever one ends, the database notifies it, an event comes, or a tick passes. It holds no
state of a specimen: what it forgets by dying stands in the database.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect import Flow
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from blocks.ndrive import NDrive
from blocks.store import LocalStore
from blocks.tier import Tier
from schemas.pace import Pace
from tasks.dispatch.cancellation import Cancellations
from tasks.dispatch.groups import GroupedMoves, Shared
from tasks.dispatch.runs import Runs
from tasks.dispatch.spacing import Spacing
from tasks.dispatch.waiting import EventWaiter
from tasks.files.recent_listing import RecentListing
from track.commands import operations
from track.jobs.claims import Claim, claim, returned
from track.jobs.leases import Lease
from track.jobs.outlook import Outlook, outlook
from track.jobs.parking import crowded
from track.jobs.takeover import RELEASE_AFTER_S, release_orphaned_jobs
from track.reports.printed import printed_ends
from track.schema.database import transact
from track.schema.states import State

log = logging.getLogger(__name__)

CURRENT: ContextVar["Dispatcher"] = ContextVar("dispatcher")

STRETCH = 4
"""How many times its share of subflows a dispatcher starts at most."""

WIND_DOWN_S = 60.0
"""How long what is still at work may take when its dispatcher ends. What takes longer is let go
of: its successor claims it, and every effect looks first how far it came."""

Subflow = Flow[[Claim], Any]


def this_dispatcher() -> "Dispatcher":
    """The dispatcher that the running subflow belongs to."""
    return CURRENT.get()


@dataclass
class Dispatcher:
    """What one dispatch run and its subflows share.

    `ending` says, once the run is over, why: finished, parked, handed over, lost, or
    broken off by an error.
    """

    session_id: UUID
    engine: AsyncEngine
    lease: Lease
    tier: Tier
    drive: NDrive
    store: LocalStore
    pace: Pace
    callbacks: EventWaiter = field(init=False)
    cancellations: Cancellations = field(init=False)
    moves: GroupedMoves = field(init=False)
    runs: Runs = field(init=False)
    folder: RecentListing = field(default_factory=RecentListing)
    closing: Shared = field(default_factory=Shared)
    ending: str = "broken off"
    started: int = 0
    _ends: bool = False
    _open: dict[int, asyncio.Task[object]] = field(default_factory=dict)
    _broken: dict[int, str] = field(default_factory=dict)
    _notified: asyncio.Event = field(default_factory=asyncio.Event)
    _looks: Spacing = field(default_factory=Spacing)
    _last_move: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        pace = self.pace
        self.moves = GroupedMoves(self.engine, self.id, self.actor)
        self.runs = Runs(
            self.lease.flow_run_id,
            pace,
            lambda jobs: transact(self.engine, printed_ends, list(jobs), jobs),
        )
        self.callbacks = EventWaiter(self.engine, self.session_id, pace.recheck_s, self.notify)
        self.cancellations = Cancellations(
            self.lease.flow_run_id, pace.recheck_s, lambda: bool(self._open), self.end_job
        )

    @property
    def id(self) -> UUID:
        """What its moves are guarded with."""
        return self.lease.dispatcher_id

    @property
    def actor(self) -> str:
        """How history names it."""
        return f"dispatcher:{self.id}"

    def notify(self) -> None:
        """Look for work now rather than at the next tick."""
        self._notified.set()

    async def claims(self) -> AsyncIterator[Claim]:
        """Every claim as it becomes possible, until the session is finished or parked.

        One that has had its share of subflows goes on until nothing is open but what waits,
        and hands over then; one that never comes to that, after `STRETCH` times its share.
        """
        while self.runs.made < self.pace.subflows * STRETCH:
            await self._looks.wait()
            self._notified.clear()
            with self._looks.look():
                taken = await self._take()
            for found in taken:
                yield found
            if taken:
                self._last_move = time.monotonic()
            elif (ending := await self._over()) is not None:
                self.ending = ending
                return
            await self._pause()
        self.ending = "handed over"

    def start(self, found: Claim, subflow: Subflow) -> None:
        """Run a claim's flow beside the others; what it raises is its own affair.

        Its code itself, without Prefect's engine: no job waits until a run is made.
        """
        self.started += 1
        name = f"{found.stage} of {found.guid}"
        task: asyncio.Task[object] = asyncio.create_task(subflow.fn(found), name=name)
        self._open[found.job_id] = task
        task.add_done_callback(self._ended)
        self.runs.add(found, subflow, task)

    async def continue_with(self, guid: str, runs: frozenset[str]) -> Claim | None:
        """The asset's next stage for the subflow that has just ended one, if it is its kind.

        A stage of another kind is left for the next look, which this one prompts; so is any
        once this dispatcher ends.
        """
        if self._ends:
            return None

        async def work(tx: AsyncConnection) -> list[Claim]:
            return await claim(tx, self.session_id, self.id, limit=1, guid=guid, builtins=runs)

        taken = await transact(self.engine, work)
        for found in taken:
            if (mine := asyncio.current_task()) is not None:
                self._open[found.job_id] = mine
            return found
        self.notify()
        return None

    def _ended(self, task: asyncio.Task[object]) -> None:
        """Forget a subflow; what it raised is in its own run's log, and stops nobody else."""
        self._last_move = time.monotonic()
        held = [job_id for job_id, open_ in self._open.items() if open_ is task]
        for job_id in held:
            del self._open[job_id]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            why = f"{task.get_name()} ended with {type(error).__name__}: {error}"
            log.warning("%s", why)
            task.get_loop().call_later(RELEASE_AFTER_S, self._put_back, held, why)
        self.notify()

    def _put_back(self, held: list[int], why: str) -> None:
        """Let go of these jobs at the next look, but for those in a subflow again."""
        self._broken |= dict.fromkeys((job_id for job_id in held if job_id not in self._open), why)
        self.notify()

    async def _take(self) -> list[Claim]:
        room = max(0, self.pace.at_once - self.busy)
        broken, self._broken = self._broken, {}

        async def work(tx: AsyncConnection) -> list[Claim]:
            if broken:
                await release_orphaned_jobs(tx, broken, self.id)
            back = await returned(tx, self.session_id, limit=room, without=self._open)
            taken = await claim(
                tx, self.session_id, self.id, limit=room - len(back), without=self._open
            )
            return taken + back

        return await transact(self.engine, work)

    @property
    def busy(self) -> int:
        """How many subflows are at work; those that wait for a site are not."""
        return len(self._open) - self.callbacks.waiting

    async def _over(self) -> str | None:
        """Why there is nothing more to do here, or None while there is."""
        if self.busy:
            return None
        seen = await transact(self.engine, outlook, self.session_id)
        if seen.quiet and not self._open:
            return "finished"
        if self.runs.made >= self.pace.subflows:
            return "handed over"
        if seen.may_park and await self._has_waited(seen):
            return "parked"
        return None

    async def _has_waited(self, seen: Outlook) -> bool:
        """Whether nothing has moved for so long that the place is better left to others."""
        pace, waited = self.pace, time.monotonic() - self._last_move
        alone, among_others = pace.idle_s, pace.tick_s
        if seen.at_sites:
            alone, among_others = pace.linger_s, pace.yield_s
        if waited > min(alone, pace.linger_s):
            return True
        return waited > among_others and await transact(self.engine, crowded)

    async def _pause(self) -> None:
        # Not `wait_for`: it may swallow the one cancellation that a lost lease sends.
        with suppress(TimeoutError):
            async with asyncio.timeout(self.pace.tick_s):
                await self._notified.wait()

    async def end_job(self, job_id: int, actor: str) -> str:
        """End a job whose run was cancelled in Prefect; a word on it, once its subflow is over.

        What a site has is stopped over there, and its subflow waits for the evidence; what
        has come back is finished. One that went on to a next stage loses that one.
        """
        task = self._open.get(job_id)
        while True:
            latest = self._latest(task, job_id)
            line = await transact(
                self.engine,
                operations.cancel,
                latest,
                actor=actor,
                why="its run was cancelled in Prefect",
            )
            if self._latest(task, latest) == latest:
                break
        if task is not None:
            if line.now == State.CANCELLED and not self.callbacks.look(latest):
                task.cancel()
            await asyncio.wait([task])
        return line.note or f"its job is {line.now}"

    def _latest(self, task: asyncio.Task[object] | None, job_id: int) -> int:
        """The job that a subflow is at: it may have gone on since it was started."""
        return [job_id, *(each for each, open_ in self._open.items() if open_ is task)][-1]

    async def wind_down(self) -> None:
        """Let the subflows that wait for sites go, then wait a while for all that are open."""
        self._ends = True
        self.callbacks.park()
        with suppress(TimeoutError):
            async with asyncio.timeout(WIND_DOWN_S):
                while self._open:
                    await asyncio.wait(self._open.values())
                    self.callbacks.park()
        for task in set(self._open.values()):
            log.info("%s takes long; it is left to the next dispatcher", task.get_name())

    async def cancel(self) -> None:
        """Stop every subflow where it stands; what it asked of the database is done first."""
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.closing.stop()
        await self.moves.close()
