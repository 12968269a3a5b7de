"""What was learnt of a site and must outlive its driver: nodes that failed, why it was held.

Kept in the history, where an operator looks for it as well.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.schema.history import record

NODE, FAULT = "site.node", "site.fault"

NODES = text("""
    SELECT new AS node, CAST(extract(epoch FROM now() - max(at)) AS float) AS age_s
    FROM track.history
    WHERE what = 'site.node' AND actor = :actor AND at > now() - make_interval(secs => :seconds)
    GROUP BY new
""")
LAST_FAULT = text("""
    SELECT h.new AS fault, CAST(extract(epoch FROM now() - h.at) AS float) AS age_s
    FROM track.history h
    WHERE h.what = 'site.fault' AND h.actor = :actor
      AND h.at > now() - make_interval(secs => :seconds)
      AND NOT EXISTS (SELECT 1 FROM track.attempt t
                       WHERE t.site = :site AND t.started_at > h.at)
    ORDER BY h.id DESC LIMIT 1
""")


async def note_node(tx: AsyncConnection, site: str, node: str, why: str) -> None:
    """Note a node that failed."""
    await record(tx, actor=_actor(site), what=NODE, new=node, why=why)


async def note_fault(tx: AsyncConnection, site: str, fault: str) -> None:
    """Note that a site is held for what its jobs end of before they start."""
    await record(tx, actor=_actor(site), what=FAULT, new=fault)


async def failed_nodes(tx: AsyncConnection, site: str, seconds: float) -> dict[str, float]:
    """Nodes that failed within so many seconds, and how long ago in seconds."""
    rows = await tx.execute(NODES, {"actor": _actor(site), "seconds": seconds})
    return {row.node: row.age_s for row in rows}


async def last_fault(tx: AsyncConnection, site: str, seconds: float) -> tuple[str, float] | None:
    """Why a site was held within so many seconds, and how long ago; None once a job started."""
    given = {"actor": _actor(site), "site": site, "seconds": seconds}
    row = (await tx.execute(LAST_FAULT, given)).one_or_none()
    return None if row is None else (row.fault, row.age_s)


def _actor(site: str) -> str:
    return f"driver:{site}"
