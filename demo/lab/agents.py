"""Agents of the demonstration's own: they join and leave while a session is under way.

Each is a process with a folder of its own, which knows the address of the clusters' API and
nothing else of us. Afterwards our records say what each of them did.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from prefect.client.schemas.objects import StateType
from prefect.deployments.flow_runs import arun_deployment
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from demo.lab.agent_process import AgentProcess, NotJoined
from demo.lab.known_site import ACTOR, known_site
from demo.lab.machine import LabMachine, make_machine, open_folder
from refinery import state
from refinery.addresses import Addresses
from refinery.processes import MARK
from refinery.settings import Settings
from schemas.sites import Site
from track.commands.agents import allow_joining, gone
from track.schema.database import transact

SITE = "agents"
"""The name that asks for agents of our own, unless the sites file has a site called so."""

CAPACITIES = {"first": 1, "second": 2, "third": 4}
"""The agents in the order in which they join, and the units of each."""

LATER, LATEST = 1, 10
"""How many attempts are done when the second joins, and when the third does."""
LEASE_S = 120
"""The shortest there is: an agent is heard of, and hears of its orders, every 30 seconds."""
POLL_SECONDS = 0.25
MAX_WAIT_S = 300.0
MAX_VERB_S = 180.0

DONE = text("""
    SELECT count(*) FROM track.attempt
    WHERE agent_id = ANY(:agents) AND closed_at IS NOT NULL AND outcome = 'done'
""")
AT_WORK = text("""
    SELECT count(*) FROM track.attempt
    WHERE agent_id = ANY(:agents) AND closed_at IS NULL
""")
ATTEMPTS = text("""
    SELECT t.id, t.job_id, t.outcome, t.agent_id, j.asset_guid || ' ' || s.key AS job
    FROM track.attempt t
    JOIN track.job j ON j.id = t.job_id JOIN track.stage s ON s.id = j.stage_id
    WHERE t.site = :site AND t.queued_at >= :since
    ORDER BY t.id
""")

Say = Callable[[str], None]


async def let_join(
    engine: AsyncEngine, addresses: Addresses, site: str, agent: AgentProcess, *words: str
) -> None:
    """Have an agent join a site, with a token for it alone; `words` say what it can start.

    Raises NotJoined.
    """
    token = secrets.token_urlsafe(32)
    await transact(engine, allow_joining, site, token, 1, 1.0, actor=ACTOR)
    await asyncio.to_thread(agent.join, addresses.clusters, site, token, *words)


@dataclass
class AgentPlay:
    """The agents of one demonstration, in the order in which they joined."""

    engine: AsyncEngine
    addresses: Addresses
    folder: Path
    say: Say
    site: str = SITE
    variables: dict[str, str] = field(default_factory=dict)
    agents: list[AgentProcess] = field(default_factory=list)
    machine: LabMachine = field(init=False)

    async def prepare(self) -> None:
        """Make ready what agents need, and let the first one join."""
        self.machine = await asyncio.to_thread(make_machine, self.folder)
        self.say(f"agents run as user {self.machine.user} in {self.folder}")
        await self.join("first")

    async def join(self, name: str) -> AgentProcess:
        """Let one that starts processes join, with a token for it alone, and run it."""
        units = CAPACITIES[name]
        made = AgentProcess(self.machine, name, self.variables, units)
        await self.let_join(made, "--process", str(units))
        made.start()
        return made

    async def let_join(self, agent: AgentProcess, *words: str) -> None:
        """Have an agent join; `words` say what it can start. Raises NotJoined."""
        self.agents.append(agent)
        await let_join(self.engine, self.addresses, self.site, agent, *words)
        self.say(f"agent {agent.name} joined, with room for {agent.units}")

    async def come_and_go(self) -> None:
        """Let the others join, one be killed, and the first leave, while work goes on."""
        (first,) = self.agents
        await self._until(lambda: self._has_done(LATER, first), "the first attempt is done")
        second = await self.join("second")
        await self._until(lambda: self._is_at_work(second), "the second agent is at work")
        second.kill()
        second.start()
        self.say("agent second was killed while it was at work, and started again")
        await self._until(lambda: self._has_done(LATEST, *self.agents), f"{LATEST} are done")
        await self.join("third")
        await self.order(first, "drain")
        await self._until(lambda: self._is_idle(first), "the first agent holds nothing")
        await self.leave(first)

    async def leave(self, agent: AgentProcess) -> None:
        """Order an agent to stop, and wait until it ends by itself."""
        await self.order(agent, "stop")
        await self._until(lambda: _at_once(agent.has_ended()), f"agent {agent.name} ends")
        self.say(f"agent {agent.name} holds nothing any more, and left")

    async def leave_all(self) -> None:
        """Have those leave that are here still, all at once."""
        here = [agent for agent in self.agents if not agent.has_ended()]
        await asyncio.gather(*[self.leave(agent) for agent in here])

    async def order(self, agent: AgentProcess, order: str) -> None:
        """Give an agent an order as an operator would. Raises NotJoined."""
        asked = {"by": ACTOR, "agent": agent.number, "order": order}
        run = await arun_deployment(
            "operate/agent", parameters=asked, timeout=MAX_VERB_S, poll_interval=0.5
        )
        if run.state is None or run.state.type != StateType.COMPLETED:
            message = run.state.message if run.state else "it never ran"
            raise NotJoined(f"operate/agent did not order agent {agent.name} to {order}: {message}")
        self.say(f"agent {agent.name} is ordered to {order}")

    async def close(self) -> None:
        """End what is left of them, and have what they hold given to others at once."""
        for agent in self.agents:
            await asyncio.to_thread(agent.close)
        for agent in self.agents:
            if agent.number:
                why = "the demonstration is over"
                await transact(self.engine, gone, agent.number, evidence=why, actor=ACTOR)

    async def held_against(self, since: datetime) -> list[str]:
        """What our records say that should not be, a line each; `since` is the database's time."""
        async with self.engine.connect() as tx:
            rows = (await tx.execute(ATTEMPTS, {"site": self.site, "since": since})).all()
        names = {agent.number: agent.name for agent in self.agents}
        done: dict[str, list[str]] = {agent.name: [] for agent in self.agents}
        found = []
        for row in rows:
            if row.outcome != "done" or row.agent_id not in names:
                found.append(f"attempt {row.id} of {row.job} is {row.outcome or 'open'}")
            else:
                done[names[row.agent_id]].append(row.job)
        for agent in self.agents:
            did = len(done[agent.name])
            self.say(f"agent {agent.name}, with room for {agent.units}, did {did} attempts")
        return found + list(_faults(done))

    async def _until(self, true: Callable[[], Awaitable[bool]], what: str) -> None:
        """Look until it is true. Raises NotJoined when it never is, or an agent has failed."""
        deadline = time.monotonic() + MAX_WAIT_S
        while not await true():
            if time.monotonic() > deadline:
                raise NotJoined(f"waited {MAX_WAIT_S:.0f} s in vain until {what}")
            for agent in self.agents:
                agent.has_ended()
            await asyncio.sleep(POLL_SECONDS)

    async def _has_done(self, least: int, *agents: AgentProcess) -> bool:
        return await self._count(DONE, *agents) >= least

    async def _is_at_work(self, agent: AgentProcess) -> bool:
        return await self._count(AT_WORK, agent) > 0

    async def _is_idle(self, agent: AgentProcess) -> bool:
        return await self._count(AT_WORK, agent) == 0

    async def _count(self, what: TextClause, *agents: AgentProcess) -> int:
        numbers = [agent.number for agent in agents]
        async with self.engine.connect() as tx:
            return int((await tx.execute(what, {"agents": numbers})).scalar_one())


async def _at_once(value: bool) -> bool:
    return value


def _faults(done: dict[str, list[str]]) -> Iterator[str]:
    """What is wrong with the jobs that each agent has done."""
    known: dict[str, str] = {}
    for name, jobs in done.items():
        if not jobs:
            yield f"agent {name} did nothing"
        for job in jobs:
            if job in known:
                yield f"{job} was done by agent {known[job]} and by agent {name}"
            known[job] = name


@asynccontextmanager
async def own_agents(
    settings: Settings, addresses: Addresses, engine: AsyncEngine, say: Say
) -> AsyncIterator[AgentPlay]:
    """A site `agents` and the first agent of it.

    Raises NoMachine and NotJoined. Whatever ends the block, all of it is taken down.
    """
    given = {"site": SITE, "kind": "pull", "callback": addresses.clusters, "lease_s": LEASE_S}
    with open_folder("agents-") as folder:
        play = AgentPlay(engine, addresses, folder, say, variables={MARK: state.mark(settings)})
        async with known_site(settings, addresses, engine, Site.model_validate(given)):
            try:
                await play.prepare()
                yield play
            finally:
                await play.close()
