"""The agents of the property test: they take a site's work, lose answers, fall silent, and go."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hpc import agent_protocol
from hpc.callers import MessageRefused
from schemas import agents as wire
from schemas.launchers import LAUNCHERS, Units
from schemas.sites import Site
from tests.faults.truth.clusters import Message, Network, result_of
from tests.faults.truth.world import Actor, Truth
from track.commands import agents
from track.jobs import agents as rows
from track.jobs.agent_claims import used_units
from track.jobs.agent_leases import batches_to_keep, renew
from track.jobs.batches import Member

POOL = Site.model_validate({"site": "pool", "kind": "pull", "callback": "https://api.test"})
CAPACITY = Units(process=2, scheduler=2)
SILENT = text("""
    UPDATE track.attempt SET lease_until = now() - interval '1 day'
    WHERE closed_at IS NULL AND agent_id = ANY(:agents)
""")

Call = Callable[[AsyncConnection, int, int], Awaitable[object]]


@dataclass
class Held:
    """One attempt that an agent holds; `asks`: its runner has yet to ask for its start."""

    member: Member
    key: str
    asks: bool


@dataclass
class Agents:
    """One agent after the other, as one machine; the site knows those that were before it too."""

    truth: Truth
    network: Network
    name: str
    given: dict[int, str]
    """Attempts and to which request they were given, of all machines: none is given twice."""
    agent: rows.Agent | None = None
    held: dict[int, Held] = field(default_factory=dict)
    request: str = ""
    left_behind: list[int] = field(default_factory=list)
    me: Actor = field(init=False)

    def __post_init__(self) -> None:
        self.me = Actor(self.truth, self.name)

    async def run(self) -> None:
        """One thing after the other, for ever; once all is calm it joins, and dies no more."""
        if self.agent is not None:  # it was stopped in the middle of something, and has died of it
            self.left_behind.append(self.agent.id)
            self.agent, self.held, self.request = None, {}, ""
        while True:
            if self.left_behind and (self.truth.calm or self.me.chance(0.2)):
                await self._time_passes()
            if self.agent is None:
                await self._join()
            elif self.me.chance(0.04):
                await self._end(self.agent)
            elif self.held and self.me.rng.random() < 0.6:
                await self._go_on(self.agent)
            elif self.me.rng.random() < 0.3:
                await self._heartbeat(self.agent)
            else:
                await self._claim(self.agent)

    async def _join(self) -> None:
        token = UUID(int=self.me.rng.getrandbits(128)).hex * 2
        body = wire.Join(name="machine", token=token, capacity=CAPACITY)

        async def work(tx: AsyncConnection) -> rows.Agent:
            await rows.allow_join(tx, POOL.name, token, 1, 3600.0)
            return await rows.join(tx, POOL.name, token, body)

        self.agent = await self.me.do("joins", work)

    async def _claim(self, agent: rows.Agent) -> None:
        """Ask for work; an answer that is lost is asked for again under its own number."""
        self.request = self.request or f"request {self.me.rng.getrandbits(64)}"
        asked = wire.WorkClaim(request_id=self.request, free=CAPACITY)

        async def work(tx: AsyncConnection) -> agent_protocol.ClaimReply:
            found = await agent_protocol.claim(tx, agent.id, asked)
            used = await used_units(tx, agent.id)
            assert all(used.of(each) <= CAPACITY.of(each) for each in LAUNCHERS), used
            return found

        reply = await self.me.do("asks for work", work, 0.5)
        for batch in reply.batches:
            for member in batch.members:
                before = self.given.setdefault(member.attempt, self.request)
                assert before == self.request, f"attempt {member.attempt} was given twice"
        if self.me.chance(0.2):
            return  # the answer was lost
        self.request = ""
        for batch in reply.batches:
            asks = batch.resources["launcher"] == "scheduler"
            for member in batch.members:
                if member.open:
                    self.held[member.attempt] = Held(member, batch.key, asks)

    async def _heartbeat(self, agent: rows.Agent) -> None:
        held = {each.member.attempt: each.member.fence for each in self.held.values()}
        keys = {each.key for each in self.held.values()}

        async def work(tx: AsyncConnection) -> dict[int, str]:
            await agents.note_at_work(tx, agent.site)
            renewal = await renew(tx, agent.id, held, 900.0)
            await batches_to_keep(tx, agent.id, keys)
            return {each: renewal.word(each) for each in held}

        for attempt, word in (await self.me.do("says what it holds", work, 0.3)).items():
            if word == "lost":
                del self.held[attempt]
            elif word == "cancel":
                body = {"native_id": "n", "state": "cancelled"}
                await self._tell(agent, self.held.pop(attempt).member, "ended", body)

    async def _go_on(self, agent: rows.Agent) -> None:
        """Start one of those that ask for it, or bring what became of one."""
        one = self.me.rng.choice(list(self.held.values()))
        who = {"native_id": f"job of {one.member.attempt}", "nonce": f"{one.member.attempt}"}
        if one.asks:
            one.asks = False
            if not await self._tell(agent, one.member, "start", who):
                self.held.pop(one.member.attempt, None)
            return
        del self.held[one.member.attempt]
        drawn = self.me.rng.random()
        if drawn < 0.1 and not self.truth.calm:
            await self._tell(agent, one.member, "ended", {"state": "failed", "exit_code": 9})
        elif drawn < 0.25 and not self.truth.calm:
            failure = {"fail_status": "RETRY", "message": "no luck"}
            await self._tell(agent, one.member, "fail", who | failure)
        else:
            result = {"result": result_of(self.me.rng, one.member)}
            await self._tell(agent, one.member, "complete", who | result)

    async def _tell(
        self, agent: rows.Agent, member: Member, verb: str, body: dict[str, Any]
    ) -> bool:
        """Tell something of an attempt, now or later, once or twice; whether it was not refused."""
        call = _telling(agent, verb, body)
        message = Message(f"{agent.actor}'s {verb}", member.attempt, member.fence, call)
        if self.me.chance(0.15):
            self.network.messages.append(message)
            if verb != "start":
                return True
        try:
            await self.me.do(
                f"{verb} of attempt {member.attempt}",
                lambda tx: call(tx, member.attempt, member.fence),
            )
        except MessageRefused as refusal:
            self.truth.turns.note(self.name, f"  refused: {refusal}")
            return False
        return True

    async def _end(self, agent: rows.Agent) -> None:
        """It dies, or is only said to be gone: then what it brings counts no more."""
        drawn = self.me.rng.random()
        if drawn < 0.4:
            await self.me.do(
                "is said to be gone",
                lambda tx: agents.gone(tx, agent.id, evidence="it burnt", actor="operator"),
            )
            for one in self.held.values():
                await self._tell(agent, one.member, "ended", {"state": "completed"})
        elif drawn < 0.7:
            await self.me.turn("dies, and nobody says so")
            self.left_behind.append(agent.id)
        else:
            self.left_behind.append(agent.id)
            await self._time_passes()  # it is cut off, comes back, and has lost all
            await self._heartbeat(agent)
            assert not self.held
            self.left_behind.remove(agent.id)
            self.request = ""
            return
        self.agent, self.held, self.request = None, {}, ""

    async def _time_passes(self) -> None:
        """So much that the work of those who are not heard of is given to others."""

        async def work(tx: AsyncConnection) -> None:
            await tx.execute(SILENT, {"agents": self.left_behind})
            await agents.reap(tx)

        await self.me.do("time passes", work, 0.3)


def _telling(agent: rows.Agent, verb: str, body: dict[str, Any]) -> Call:
    def call(tx: AsyncConnection, attempt: int, fence: int) -> Awaitable[object]:
        path = f"/attempts/{attempt}/{verb}"
        message = wire.Message(path=path, fence=max(1, fence), body=body)
        return agent_protocol.apply(tx, agent, message)

    return call
