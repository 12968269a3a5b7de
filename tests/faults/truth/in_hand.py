"""What a dispatcher of the property test has in hand, and each thing that it does with it.

One job at a time, or all that the same is due for in one transaction, as the real one's groups.
"""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import QuarantineEntry
from tests.faults.truth.world import SITES, Actor
from track.commands import shares
from track.commands.assets import quarantine_all
from track.jobs import verbs
from track.jobs.at_site import submit_all, take_back_all
from track.jobs.claims import Claim, claim, returned
from track.jobs.moves import Guard, StaleMove
from track.jobs.sites import NoSite, choose_site, is_driven
from track.schema.states import AT_SITE, State
from track.schema.tables import job

TORN = QuarantineEntry("x.tif", "torn", "again")
CLOSES = ("synchronise", "finalise")


@dataclass
class JobsInHand:
    """The jobs that the dispatcher `mine` knows of and has not seen the end of."""

    me: Actor
    mine: UUID
    held: list[Claim] = field(default_factory=list)

    async def claim(self, session_id: UUID) -> None:
        """Take some more."""
        limit = self.me.rng.randint(1, 3)

        async def work(tx: AsyncConnection) -> list[Claim]:
            taken = await claim(tx, session_id, self.mine, limit=limit)
            known = {each.job_id for each in self.held}
            back = [each for each in await returned(tx, session_id) if each.job_id not in known]
            return taken + back

        found = await self.me.do("claim", work)
        for each in found:
            self.me.truth.turns.note(
                self.me.name, f"  has {each.guid} {each.stage} ({each.job_id})"
            )
        self.held += found

    async def carry_on(self) -> bool:
        """Take one of the held jobs one transaction further, or all that go the same way.

        Whether anything moved.
        """
        found = self.me.rng.choice(self.held)
        together = len(self.held) > 1 and self.me.rng.random() < 0.5
        try:
            return await (self._together() if together else self._step(found))
        except StaleMove as stale:
            self.me.truth.turns.note(self.me.name, f"  lost it: {stale}")
            if not together:
                self._drop(found)
            return True

    async def _step(self, found: Claim) -> bool:
        now = await self.me.do(
            f"read {found.guid} {found.stage}", lambda tx: _standing(tx, [found.job_id])
        )
        match _due(found, *now[found.job_id], self.mine):
            case "nothing":
                return False
            case "finish" if found.kind == "builtin":
                await self._build_in(found)
            case "finish":
                await self._end(found)
            case "submit":
                await self._submit(found)
            case "take back":
                await self._take_back([found])
            case _:
                self._drop(found)
        return True

    async def _together(self) -> bool:
        """Do for all held jobs that it is due for, in one transaction, what is due for most."""
        ids = [each.job_id for each in self.held]
        now = await self.me.do("read all it has", lambda tx: _standing(tx, ids))
        due: dict[str, list[Claim]] = {}
        for each in self.held:
            due.setdefault(_due(each, *now[each.job_id], self.mine), []).append(each)
        due.pop("nothing", None)
        if not due:
            return False
        what = max(sorted(due), key=lambda each: len(due[each]))
        verbs_of_many = {
            "submit": self._submit_all, "take back": self._take_back, "finish": self._finish_all
        }  # fmt: skip
        if what in verbs_of_many:
            await verbs_of_many[what](due[what])
        else:
            self._drop(*due[what])
        return True

    async def _take_back(self, found: list[Claim]) -> None:
        ids = [each.job_id for each in found]
        taken = await self.me.do(f"take back {ids}", lambda tx: take_back_all(tx, ids, self.mine))
        self._drop(*(each for each in found if each.job_id not in taken))

    async def _submit_all(self, found: list[Claim]) -> None:
        ids = [each.job_id for each in found]

        await self.me.do("open their shares", lambda tx: shares.opening_for(tx, ids), 0.5)
        await self.me.do(
            f"queue {ids} where they are taken",
            lambda tx: submit_all(tx, ids, self.mine, actor=self.me.name),
        )

    async def _finish_all(self, found: list[Claim]) -> None:
        ids, guard = [each.job_id for each in found], Guard(dispatcher_id=self.mine)
        closing = sorted({each.guid for each in found if each.run in CLOSES})

        async def close_shares(tx: AsyncConnection) -> None:
            for guid in closing:
                await shares.closed(tx, guid)

        self._drop(*found)
        if closing:
            await self.me.do(f"{closing} have no share", close_shares)
        await self.me.do(
            f"finish {ids}", lambda tx: verbs.finish_all(tx, ids, actor=self.me.name, guard=guard)
        )

    def _drop(self, *found: Claim) -> None:
        self.held = [each for each in self.held if each not in found]

    async def _submit(self, found: Claim) -> None:
        wanted = self.me.rng.choice(SITES)
        await self.me.do("open its share", lambda tx: shares.opening_for(tx, [found.job_id]), 0.5)
        await self.me.do(
            f"queue {found.guid} {found.stage} at {wanted}, or where it is taken",
            lambda tx: self._queue(tx, found, wanted),
        )

    async def _queue(self, tx: AsyncConnection, found: Claim, wanted: str) -> None:
        try:
            driven = await is_driven(tx, wanted)
            site = wanted if driven else await choose_site(tx, found.job_id)
        except NoSite as none:
            guard = Guard(dispatcher_id=self.mine)
            await verbs.try_again(
                tx, found.job_id, actor=self.me.name, why=str(none), uses_try=False, guard=guard
            )
            return
        await verbs.enqueue_at_site(
            tx, found.job_id, site, dispatcher_id=self.mine, actor=self.me.name
        )

    async def _build_in(self, found: Claim) -> None:
        if found.run == "ingest" and self.me.chance(0.05):
            self._drop(found)
            await self.me.do(
                f"quarantine {found.guid}",
                lambda tx: quarantine_all(
                    tx, {found.job_id: TORN}, dispatcher_id=self.mine, actor=self.me.name
                ),
            )
            return
        await self._end(found)

    async def _end(self, found: Claim) -> None:
        """Finish a job in hand, or bring it back later, or give it up."""
        guard = Guard(dispatcher_id=self.mine)
        self._drop(found)
        later, failed = self.me.chance(0.12), self.me.chance(0.04)
        uses_try = self.me.rng.random() < 0.5

        async def work(tx: AsyncConnection) -> None:
            if later:
                await verbs.try_again(
                    tx,
                    found.job_id,
                    actor=self.me.name,
                    why="later",
                    uses_try=uses_try,
                    guard=guard,
                )
            elif failed:
                await verbs.end(
                    tx, found.job_id, State.FAILED, actor=self.me.name, why="refused", guard=guard
                )
            else:
                await verbs.finish(tx, found.job_id, actor=self.me.name, guard=guard)

        if found.run in CLOSES:
            await self.me.do(f"{found.guid} has no share", lambda tx: shares.closed(tx, found.guid))
        verb = "later" if later else "fail" if failed else "finish"
        await self.me.do(f"{verb} {found.guid} {found.stage} ({found.job_id})", work)


async def _standing(
    tx: AsyncConnection, job_ids: list[int]
) -> dict[int, tuple[State, UUID | None]]:
    """The state of each of these jobs, and in whose hands it is."""
    these = select(job.c.id, job.c.state, job.c.dispatcher_id).where(job.c.id.in_(job_ids))
    return {row.id: (State(row.state), row.dispatcher_id) for row in await tx.execute(these)}


def _due(found: Claim, state: State, holder: UUID | None, mine: UUID) -> str:
    """What a dispatcher does next with a job that it was given: `let go` of another's."""
    if state in AT_SITE:
        return "nothing"
    if state == State.CLAIMED and holder == mine:
        return "finish" if found.kind == "builtin" else "submit"
    if state == State.RETURNED and holder in (None, mine):
        return "finish" if holder == mine else "take back"
    return "let go"
