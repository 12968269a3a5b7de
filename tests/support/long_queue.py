"""A site's queue with any number of attempts in it, and agents that take them all."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from hpc import agent_protocol
from schemas.agents import Join, WorkClaim
from schemas.launchers import Units
from tests.support.agents import MODULES, PULL
from tests.support.world import World, install_sites
from track.jobs import agents
from track.schema.database import transact

# Every hundredth is heavy, 18 units, from the first on.
FILL = """
    WITH assets AS (
        INSERT INTO track.asset (guid, session_id, pipeline_id, file_name, admitted_at)
        SELECT 'q' || lpad(n::text, 8, '0'), :session, p.id, 'q', now()
        FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n, track.pipeline p
        WHERE p.name = 'TILES'
        RETURNING guid, session_id, pipeline_id, CAST(substr(guid, 2) AS integer) AS n
    ), jobs AS (
        INSERT INTO track.job (asset_guid, session_id, stage_id, state)
        SELECT a.guid, a.session_id, s.id, 'queued'
        FROM assets a JOIN track.stage s ON s.pipeline_id = a.pipeline_id
         AND s.key = CASE WHEN a.n % 100 = 0 THEN 'heavy' ELSE 'light' END
        ORDER BY a.n RETURNING id
    )
    INSERT INTO track.attempt (job_id, n, fence, site)
    SELECT id, 1, 1, 'far' FROM jobs ORDER BY id
"""
POINT = """
    UPDATE track.job j SET attempt_id = t.id FROM track.attempt t
    WHERE t.job_id = j.id AND j.attempt_id IS NULL AND j.state = 'queued'
"""
END = text("""
    WITH over AS (
        UPDATE track.attempt SET closed_at = now(), outcome = 'done'
        WHERE batch_id = ANY(:batches) RETURNING id)
    UPDATE track.job SET state = 'done' FROM over WHERE attempt_id = over.id
""")
HEAVY = text(
    "SELECT t.id FROM track.attempt t JOIN track.job j ON j.id = t.job_id"
    " JOIN track.stage s ON s.id = j.stage_id WHERE s.key = 'heavy' ORDER BY t.id"
)


@dataclass
class LongQueue:
    """A world whose site `far` has very much to do."""

    world: World
    waiting: int = 0

    @classmethod
    async def make(cls, engine: AsyncEngine) -> "LongQueue":
        """With nothing in the queue yet."""
        world = await World.make(engine, MODULES)
        await transact(engine, install_sites, [PULL])
        return cls(world)

    async def add(self, n: int) -> None:
        """Put so many more into the queue, after all the others."""
        last = self.waiting + n
        given = {"first": self.waiting, "last": last - 1, "session": self.world.session_id}
        await self.world.sql(FILL, **given)
        await self.world.sql(POINT)
        self.waiting = last

    async def heavy(self) -> list[int]:
        """The attempts that are heavy."""
        async with self.world.engine.connect() as tx:
            return list((await tx.execute(HEAVY)).scalars())

    async def agent(self, process: int) -> "QueueAgent":
        """An agent with so many units."""
        token = uuid4().hex * 2
        body = Join(name=f"of{process}", token=token, capacity=Units(process=process))

        async def join(tx: Any) -> agents.Agent:
            await agents.allow_join(tx, "far", token, 1, 3600.0)
            return await agents.join(tx, "far", token, body)

        return QueueAgent(self.world.engine, await transact(self.world.engine, join))


@dataclass
class QueueAgent:
    """One agent, what each of its claims brought, and the units of the batches it holds."""

    engine: AsyncEngine
    agent: agents.Agent
    claims: list[list[int]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    holds: dict[int, int] = field(default_factory=dict)

    async def claim(self) -> list[int]:
        """Ask for as much as there is room for; the attempts."""
        asked = WorkClaim(request_id=uuid4().hex, free=self.agent.capacity)
        began = time.perf_counter()
        found = await transact(self.engine, agent_protocol.claim, self.agent.id, asked)
        self.seconds.append(time.perf_counter() - began)
        for batch in found.batches:
            self.holds[batch.id] = int(batch.resources["units"])
        assert sum(self.holds.values()) <= self.agent.capacity.process, self.holds
        taken = [each.attempt for batch in found.batches for each in batch.members]
        self.claims.append(taken)
        return taken

    async def finish(self, batches: int) -> None:
        """Bring the results of so many of its batches, the oldest first."""
        ended = list(self.holds)[:batches]
        async with self.engine.begin() as tx:
            await tx.execute(END, {"batches": ended})
        for each in ended:
            del self.holds[each]

    async def take_all(self, most: int = 3) -> None:
        """Claim and finish until nothing is left that it could take."""
        idle = 0
        while idle < 3:
            idle = 0 if await self.claim() or self.holds else idle + 1
            await self.finish(most)
            await asyncio.sleep(0.01 if idle else 0)
