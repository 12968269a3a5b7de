"""The dispatchers of the property test: real leases, one transaction at a time, sudden deaths."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import QuarantineEntry
from tests.faults.truth.world import SITES, Actor, Killed, Truth
from track.commands import shares
from track.commands.assets import quarantine
from track.jobs import verbs
from track.jobs.claims import Claim, claim, returned, take_returned
from track.jobs.leases import Lease, LeaseTaken
from track.jobs.moves import Guard, StaleMove
from track.jobs.outlook import outlook
from track.jobs.parking import wake_or_park
from track.jobs.sites import NoSite, choose_site, is_driven
from track.jobs.takeover import release_jobs
from track.records.sessions import finish_if_registered
from track.records.wake import wake_session
from track.schema.states import AT_SITE, State
from track.schema.tables import job

CLOSES = ("synchronise", "finalise")

CUT = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid::bigint = :high AND objid::bigint = :low
"""


async def cut(truth: Truth, lease: Lease) -> None:
    """Cut a lease's connection, as a dead process or a broken network does."""
    key = int.from_bytes(lease.session_id.bytes[:8], signed=True)
    await truth.sql(CUT, high=(key >> 32) & 0xFFFFFFFF, low=key & 0xFFFFFFFF)


async def expire(truth: Truth, lease: Lease) -> None:
    """Let the clock run until nobody believes in this lease any more."""
    await truth.sql(
        "UPDATE track.dispatcher SET alive_until = now() - interval '1 s'"
        " WHERE id = :id AND ended_at IS NULL",
        id=lease.dispatcher_id,
    )


@dataclass
class Dispatching:
    """A dispatcher process: takes a session that asks for one, works, parks, hands over, dies."""

    truth: Truth
    url: str
    name: str
    me: Actor = field(init=False)
    held: list[Claim] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.me = Actor(self.truth, self.name)

    async def run(self) -> None:
        """Process after process, for ever."""
        while True:
            session_id = await self.me.do("look for a session", self._wanted, 0.3)
            if session_id is None:
                continue
            lease = Lease(self.url, session_id)
            await self.me.turn(f"take {self._short(session_id)}")
            try:
                await asyncio.to_thread(lease.take, lambda: None)
            except LeaseTaken:
                continue
            self.truth.unwatched.discard(session_id)
            looked = False
            try:
                looked = await self._live(lease)
            finally:
                if not looked:
                    self.truth.unwatched.add(session_id)
                await asyncio.to_thread(lease.release, "the test is over")

    def _short(self, session_id: UUID) -> str:
        return f"session {self.truth.sessions.index(session_id)}"

    async def _wanted(self, tx: AsyncConnection) -> UUID | None:
        """A session that asks for a dispatcher, as its event would tell."""
        asking = await tx.exec_driver_sql(
            "SELECT id FROM track.session WHERE wake_requested_at IS NOT NULL ORDER BY id"
        )
        found = list(asking.scalars())
        return self.me.rng.choice(found) if found else None

    async def _live(self, lease: Lease) -> bool:
        """One process; whether it came to look once more at its end."""
        self.held = []
        try:
            ending = await self._work(lease)
        except Killed:
            return False
        self.truth.unwatched.add(lease.session_id)
        await self.me.turn(f"release: {ending}")
        await asyncio.to_thread(lease.release, ending)
        if self.me.chance(0.1):
            self.truth.turns.note(self.name, "killed before it looked once more")
            return False
        await self._look_once_more(lease, ending)
        return True

    async def _look_once_more(self, lease: Lease, ending: str) -> None:
        session_id = lease.session_id

        async def once_more(tx: AsyncConnection) -> None:
            await release_jobs(tx, session_id, actor=self.name)
            seen = (await wake_or_park(tx, session_id))[session_id]
            if ending == "handed over" and not seen.quiet:
                await wake_session(tx, session_id)
            elif seen.quiet:
                await finish_if_registered(tx, session_id)

        await self.me.do("look once more", once_more)
        self.truth.unwatched.discard(session_id)

    async def _work(self, lease: Lease) -> str:
        """Claim and carry on until there is nothing to do; why it ended."""
        session_id, mine = lease.session_id, lease.dispatcher_id
        me = self.me
        await me.do(
            "take over", lambda tx: release_jobs(tx, session_id, actor=self.name, keep=mine)
        )
        dies_in = me.rng.randint(1, 20) if me.chance(0.4) else None
        for step in range(me.rng.randint(10, 80)):
            if step == dies_in:
                await self._die(lease)
            await self._claim(session_id, mine)
            if self.held and await self._carry_on(mine):
                continue
            seen = await me.do("outlook", lambda tx: outlook(tx, session_id))
            if seen.quiet and not self.held:
                return "finished"
            if seen.may_park and me.rng.random() < 0.5:
                return "parked"
        return "handed over"

    async def _die(self, lease: Lease) -> None:
        """Lose the lease; a process that only stood still goes on a little before it notices."""
        await self.me.turn("its lease is gone")
        await cut(self.truth, lease)
        await expire(self.truth, lease)
        self.truth.unwatched.add(lease.session_id)
        for _ in range(self.me.rng.choice((0, 0, 4, 8))):
            self.truth.turns.note(self.name, "a dead dispatcher goes on")
            await self._claim(lease.session_id, lease.dispatcher_id)
            if self.held:
                await self._carry_on(lease.dispatcher_id)
        raise Killed

    async def _claim(self, session_id: UUID, mine: UUID) -> None:
        limit = self.me.rng.randint(1, 3)

        async def work(tx: AsyncConnection) -> list[Claim]:
            taken = await claim(tx, session_id, mine, limit=limit)
            known = {each.job_id for each in self.held}
            back = [each for each in await returned(tx, session_id) if each.job_id not in known]
            return taken + back

        found = await self.me.do("claim", work)
        for each in found:
            self.truth.turns.note(self.name, f"  has {each.guid} {each.stage} ({each.job_id})")
        self.held += found

    async def _carry_on(self, mine: UUID) -> bool:
        """Take one of the held jobs one transaction further; whether anything moved."""
        found = self.me.rng.choice(self.held)
        try:
            return await self._step(found, mine)
        except StaleMove as stale:
            self.truth.turns.note(self.name, f"  lost it: {stale}")
            self._drop(found)
            return True

    async def _step(self, found: Claim, mine: UUID) -> bool:
        state, holder = await self.me.do(
            f"read {found.guid} {found.stage}", lambda tx: _state(tx, found.job_id)
        )
        if state in AT_SITE:
            return False
        if state == State.CLAIMED and holder == mine:
            await (self._build_in if found.kind == "builtin" else self._submit)(found, mine)
        elif state == State.RETURNED and holder is None:
            taken = await self.me.do(
                f"take back {found.guid} {found.stage}",
                lambda tx: take_returned(tx, [found.job_id], mine),
            )
            if not taken:
                self._drop(found)
        elif state == State.RETURNED and holder == mine:
            await self._end(found, mine)
        else:
            self._drop(found)
        return True

    def _drop(self, found: Claim) -> None:
        self.held = [each for each in self.held if each is not found]

    async def _submit(self, found: Claim, mine: UUID) -> None:
        wanted = self.me.rng.choice(SITES)
        await self.me.do("open its share", lambda tx: shares.opening_for(tx, [found.job_id]), 0.5)
        await self.me.do(
            f"queue {found.guid} {found.stage} at {wanted}, or where it is taken",
            lambda tx: self._queue(tx, found, wanted, mine),
        )

    async def _queue(self, tx: AsyncConnection, found: Claim, wanted: str, mine: UUID) -> None:
        try:
            driven = await is_driven(tx, wanted)
            site = wanted if driven else await choose_site(tx, found.job_id)
        except NoSite as none:
            guard = Guard(dispatcher_id=mine)
            await verbs.try_again(
                tx, found.job_id, actor=self.name, why=str(none), uses_try=False, guard=guard
            )
            return
        await verbs.enqueue_at_site(tx, found.job_id, site, dispatcher_id=mine, actor=self.name)

    async def _build_in(self, found: Claim, mine: UUID) -> None:
        if found.run == "ingest" and self.me.chance(0.05):
            self._drop(found)
            await self.me.do(
                f"quarantine {found.guid}",
                lambda tx: quarantine(
                    tx, found.guid, found.job_id, dispatcher_id=mine,
                    entry=QuarantineEntry("x.tif", "torn", "again"), actor=self.name,
                ),
            )  # fmt: skip
            return
        await self._end(found, mine)

    async def _end(self, found: Claim, mine: UUID) -> None:
        """Finish a job in hand, or bring it back later, or give it up."""
        guard = Guard(dispatcher_id=mine)
        self._drop(found)
        later, failed = self.me.chance(0.12), self.me.chance(0.04)
        uses_try = self.me.rng.random() < 0.5

        async def work(tx: AsyncConnection) -> None:
            if later:
                await verbs.try_again(
                    tx, found.job_id, actor=self.name, why="later", uses_try=uses_try, guard=guard
                )
            elif failed:
                await verbs.end(
                    tx, found.job_id, State.FAILED, actor=self.name, why="refused", guard=guard
                )
            else:
                await verbs.finish(tx, found.job_id, actor=self.name, guard=guard)

        if found.run in CLOSES:
            await self.me.do(f"{found.guid} has no share", lambda tx: shares.closed(tx, found.guid))
        verb = "later" if later else "fail" if failed else "finish"
        await self.me.do(f"{verb} {found.guid} {found.stage} ({found.job_id})", work)


async def _state(tx: AsyncConnection, job_id: int) -> tuple[State, UUID | None]:
    mine = select(job.c.state, job.c.dispatcher_id).where(job.c.id == job_id)
    row = (await tx.execute(mine)).one()
    return State(row.state), row.dispatcher_id
