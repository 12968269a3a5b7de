"""The dispatchers of the property test: real leases, one transaction at a time, sudden deaths."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from tests.faults.truth.in_hand import JobsInHand
from tests.faults.truth.world import Actor, Killed, Truth
from track.jobs.leases import Lease, LeaseTaken
from track.jobs.outlook import outlook
from track.jobs.parking import wake_or_park
from track.jobs.takeover import release_jobs
from track.records.sessions import finish_if_registered
from track.records.wake import wake_session

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
    hands: JobsInHand = field(init=False)

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
        self.hands = JobsInHand(self.me, lease.dispatcher_id)
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
            await self.hands.claim(session_id)
            if self.hands.held and await self.hands.carry_on():
                continue
            seen = await me.do("outlook", lambda tx: outlook(tx, session_id))
            if seen.quiet and not self.hands.held:
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
            await self.hands.claim(lease.session_id)
            if self.hands.held:
                await self.hands.carry_on()
        raise Killed
