"""Uploads of derivatives are done by the agent that made them: nobody else has the files.

So an agent that is told to go takes nothing along: it gets those uploads still. What was only at
one that is gone is made again by the stage that made it, and uploaded from there.
"""

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.agents import Order
from track.jobs.agents import Agent
from track.jobs.locked import locked_jobs
from track.jobs.verbs import move_site, resubmit_all
from track.schema.arrays import any_of
from track.schema.states import State
from track.schema.tables import job

UPLOADS = "(s.kind = 'module' AND s.run = 'upload')"
"""Whether stage `s` sends what was made on the disk where it runs."""

MADE_BY = """
    SELECT m.id, m.state FROM track.asset c
    JOIN track.pipeline p ON p.id = c.pipeline_id
    JOIN track.job m ON m.asset_guid = c.parent_guid
    JOIN track.stage e ON e.id = m.stage_id AND e.emits = p.name
    WHERE c.guid = f.asset_guid
"""
"""The jobs that make file `f` of a derivative."""

LIES_ELSEWHERE = f"""(j.uploads AND EXISTS (
    SELECT 1 FROM track.file f JOIN track.agent g ON g.id = f.agent_id
    WHERE f.asset_guid = j.asset_guid AND f.agent_id <> CAST(:agent AS bigint)
      AND (g.gone_at IS NULL OR EXISTS (
          SELECT 1 FROM ({MADE_BY}) m
          WHERE m.state IN
              ('waiting', 'ready', 'claimed', 'queued', 'running', 'returned')))))"""
"""Whether job `j` uploads what another agent has, or had, and what is being made again."""

LEFT = text(f"""
    SELECT EXISTS (
        SELECT 1 FROM track.file f
        JOIN track.job u ON u.asset_guid = f.asset_guid
        JOIN track.stage s ON s.id = u.stage_id AND {UPLOADS}
        WHERE f.agent_id = :agent AND f.uploaded_at IS NULL
          AND u.state NOT IN ('done', 'excluded', 'failed', 'cancelled'))
""")
MAKERS = text(f"""
    SELECT DISTINCT m.id FROM track.file f
    JOIN track.job u ON u.asset_guid = f.asset_guid
    JOIN track.stage s ON s.id = u.stage_id AND {UPLOADS}
    CROSS JOIN LATERAL ({MADE_BY}) m
    WHERE f.agent_id = :agent AND f.uploaded_at IS NULL AND m.state IN ('done', 'returned')
      AND u.state NOT IN ('done', 'excluded', 'cancelled')
    ORDER BY m.id
""")
QUEUED_ELSEWHERE = text(f"""
    SELECT u.id FROM track.job u
    JOIN track.stage s ON s.id = u.stage_id AND {UPLOADS}
    JOIN track.attempt t ON t.id = u.attempt_id AND t.site <> :site AND t.batch_id IS NULL
     AND t.cancel_requested_at IS NULL
    WHERE u.asset_guid = :guid AND u.state = 'queued'
    ORDER BY u.id
""")


async def order_now(tx: AsyncConnection, of: Agent) -> Order:
    """What an agent is told: its order, and to go on while derivatives wait that only it has."""
    if of.order == "run":
        return of.order
    left = (await tx.execute(LEFT, {"agent": of.id})).scalar_one()
    return "run" if left else of.order


async def make_again(tx: AsyncConnection, agent_id: int, *, actor: str, why: str) -> int:
    """Have the derivatives made again that only this agent had; how many jobs that takes."""
    makers = list((await tx.execute(MAKERS, {"agent": agent_id})).scalars())
    found = await locked_jobs(tx, makers) if makers else []
    done = [each.id for each in found if each.state == State.DONE]
    if done:
        await resubmit_all(tx, done, actor=actor, why=why)
    back = [each.id for each in found if each.state == State.RETURNED]
    # Once it is done: who is at it may have read what it brought.
    await tx.execute(update(job).where(any_of(job.c.id, back)).values(redo=True))
    return len(done) + len(back)


async def follow_file(tx: AsyncConnection, guid: str, site: str, *, actor: str) -> None:
    """Have a derivative uploaded from where it was made now, if that waits at another site."""
    for job_id in (await tx.execute(QUEUED_ELSEWHERE, {"guid": guid, "site": site})).scalars():
        await move_site(tx, job_id, site, actor=actor, why=f"its file was made anew at {site}")
