"""Uploads of derivatives are done by the agent that made them: nobody else has the files.

So an agent that is told to go takes nothing along: it gets those uploads still.
"""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.agents import Order
from track.jobs.agents import Agent

UPLOADS = "(s.kind = 'module' AND s.run = 'upload')"
"""Whether stage `s` sends what was made on the disk where it runs."""

LIES_ELSEWHERE = """(j.uploads AND EXISTS (
    SELECT 1 FROM track.asset c
    JOIN track.job m ON m.asset_guid = c.parent_guid
    JOIN track.stage e ON e.id = m.stage_id AND e.emits IS NOT NULL
    JOIN track.attempt o ON o.id = m.attempt_id AND o.site = t.site
    JOIN track.agent g ON g.id = o.agent_id AND g.gone_at IS NULL
    WHERE c.guid = j.asset_guid AND g.id <> CAST(:agent AS bigint)))"""
"""Whether job `j` of attempt `t` uploads what another agent has made, who is not gone."""

LEFT = text(f"""
    SELECT EXISTS (
        SELECT 1 FROM track.job u
        JOIN track.stage s ON s.id = u.stage_id AND {UPLOADS}
        JOIN track.asset c ON c.guid = u.asset_guid
        JOIN track.job m ON m.asset_guid = c.parent_guid
        JOIN track.stage e ON e.id = m.stage_id AND e.emits IS NOT NULL
        JOIN track.attempt o ON o.id = m.attempt_id AND o.agent_id = :agent
        WHERE u.state NOT IN ('done', 'excluded', 'failed', 'cancelled')
    ) OR EXISTS (  -- its derivatives are not known yet
        SELECT 1 FROM track.job m
        JOIN track.stage e ON e.id = m.stage_id AND e.emits IS NOT NULL
        JOIN track.attempt o ON o.id = m.attempt_id AND o.agent_id = :agent
        WHERE m.state = 'returned'
    )
""")


async def order_now(tx: AsyncConnection, of: Agent) -> Order:
    """What an agent is told: its order, and to go on while derivatives wait that only it has."""
    if of.order == "run":
        return of.order
    left = (await tx.execute(LEFT, {"agent": of.id})).scalar_one()
    return "run" if left else of.order
