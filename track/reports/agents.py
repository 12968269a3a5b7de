"""Sites' queues and the agents that take their work, as people look at them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.launchers import LAUNCHERS, Units
from track.jobs.agent_claims import used_units
from track.jobs.agents import present_agents, state_of

# Only what nobody has taken yet: the index attempt_queue has nothing else.
QUEUES = text("""
    SELECT s.name AS site, s.kind, s.open, s.degraded, coalesce(q.jobs, 0) AS jobs,
           coalesce(q.oldest_s, 0) AS oldest_s
    FROM track.site s
    LEFT JOIN (
        SELECT site, count(*) AS jobs,
               CAST(extract(epoch FROM now() - min(queued_at)) AS double precision) AS oldest_s
        FROM track.attempt WHERE closed_at IS NULL AND batch_id IS NULL GROUP BY site) q
      ON q.site = s.name
    ORDER BY s.rank
""")

OVERDUE = text("""
    SELECT agent_id, count(*) AS attempts FROM track.attempt
    WHERE closed_at IS NULL AND agent_id IS NOT NULL AND lease_until < now() GROUP BY agent_id
""")


@dataclass(frozen=True)
class AgentSeen:
    """One agent as it stands: what it may take, what it has, and when it was heard of last.

    `overdue`: attempts whose leases ran out; `silent_s`: seconds since it was heard of.
    """

    id: int
    site: str
    name: str
    state: str
    order: str
    capacity: Units
    used: Units
    load: dict[str, Any]
    labels: tuple[str, ...]
    version: str
    silent_s: float
    overdue: int

    @property
    def trouble(self) -> str:
        """Why its machine takes no work now, in its own words; empty when it does."""
        return str(self.load.get("trouble") or "")

    @property
    def units(self) -> str:
        """What it has taken of what it may take, by launcher."""
        each = (f"{name} {self.used.of(name)}/{self.capacity.of(name)}" for name in LAUNCHERS)
        return ", ".join(text for text in each if not text.endswith(" 0/0")) or "none"


async def site_queues(tx: AsyncConnection) -> Sequence[Row[Any]]:
    """Every site with how much waits in its queue, and for how many seconds the oldest does."""
    return (await tx.execute(QUEUES)).all()


async def agents_seen(tx: AsyncConnection, site: str | None = None) -> list[AgentSeen]:
    """The agents that are not gone, of one site or of all."""
    overdue = {row.agent_id: row.attempts for row in await tx.execute(OVERDUE)}
    return [
        AgentSeen(
            id=row.id,
            site=row.site,
            name=row.name,
            state=state_of(row),
            order=row.order,
            capacity=Units(**row.capacity),
            used=await used_units(tx, row.id),
            load=row.load or {},
            labels=tuple(row.labels),
            version=row.version,
            silent_s=float(row.silent_s),
            overdue=overdue.get(row.id, 0),
        )
        for row in await present_agents(tx, site)
    ]
