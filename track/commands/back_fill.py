"""Bringing assets in line with an edit of their pipeline, in pages.

An edit (`commands.pipelines`) marks stages: `filled_to` is the last asset that has a job of a new
stage, `judged_to` the last whose job was judged by the edges of today; null is all of them. Both
go forward with each page, in its transaction: whoever is killed, the next one goes on from there.
Every job is there before the first is judged, or one that waits for another pipeline's stage
would find that there is none. What finishes meanwhile counts on it: an edge to a stage that is
being filled holds (`track.jobs.resolve`), and a claim judges what has yet to be judged.
"""

import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from track.jobs.edges import lock_edges
from track.jobs.resolve import resolve
from track.jobs.verbs import release_if_over, reopen
from track.records.wake import wake
from track.schema.database import transact
from track.schema.tables import stage

PAGE = 250
"""Assets brought in line in one transaction; what finishes elsewhere may wait for its end."""


async def back_fill(engine: AsyncEngine, *, within_s: float | None = None) -> bool:
    """Go on until every asset is in line, or the time (s) is over; whether all are."""
    began = time.monotonic()
    while within_s is None or time.monotonic() - began < within_s:
        if not await transact(engine, back_fill_page):
            return True
    return False


async def back_fill_page(tx: AsyncConnection, size: int = PAGE) -> bool:
    """Bring up to `size` assets in line; False when there was nothing left to do."""
    if stages := await _marked(tx, TO_FILL):
        await _fill(tx, stages, size)
        return True
    stages = await _marked(tx, stage.c.judged_to.is_not(None))
    # No edit goes on from here; one that was just made has stages to be filled first.
    filled = (await tx.execute(select(stage.c.id).where(TO_FILL).limit(1))).first() is None
    if stages and filled:
        await _judge(tx, stages, size)
    return bool(stages)


TO_FILL = stage.c.filled_to.is_not(None)


async def _marked(tx: AsyncConnection, how: ColumnElement[bool]) -> list[int]:
    """The stages of one pipeline that are marked so; no edit goes on while they are locked."""
    rows = select(stage.c.id, stage.c.pipeline_id).where(how).order_by(stage.c.id)
    found = (await tx.execute(rows.with_for_update(key_share=True))).all()
    return [row.id for row in found if row.pipeline_id == found[0].pipeline_id]


FILL = text("""
    INSERT INTO track.job (asset_guid, stage_id, session_id, priority)
    SELECT a.guid, s.id, a.session_id, a.priority FROM track.asset a, track.stage s
    WHERE a.guid = ANY(:guids) AND s.id = ANY(:stages)
    ORDER BY a.guid, s.position
    ON CONFLICT (asset_guid, stage_id) DO NOTHING
""")

NOT_BEGUN = text("""
    SELECT j.id FROM track.job j
    WHERE j.asset_guid = ANY(:guids) AND j.stage_id = ANY(:stages)
      AND j.state IN ('waiting', 'ready', 'absent')
    ORDER BY j.id
""")

LEFT_TO_DO = text("""
    SELECT j.id FROM track.job j JOIN track.asset a ON a.guid = j.asset_guid
    WHERE j.id = ANY(:jobs) AND j.state IN ('waiting', 'ready')
      AND (a.finalised_at IS NOT NULL OR a.released_at IS NOT NULL)
    ORDER BY j.id
""")

NOTHING_LEFT = text("""
    SELECT DISTINCT j.asset_guid FROM track.job j
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.asset root ON root.guid = coalesce(a.parent_guid, a.guid)
    WHERE j.asset_guid = ANY(:guids) AND j.stage_id = ANY(:stages)
      AND j.state IN ('absent', 'excluded')
      -- A claim may have judged it already.
      AND (j.id = ANY(:jobs) OR root.admitted_at IS NOT NULL AND root.released_at IS NULL)
      AND NOT EXISTS (
        SELECT 1 FROM track.job o WHERE o.asset_guid = j.asset_guid
           AND o.state NOT IN ('absent', 'done', 'excluded', 'failed', 'cancelled'))
    ORDER BY j.asset_guid
""")


async def _fill(tx: AsyncConnection, stages: Sequence[int], size: int) -> None:
    """Give assets the jobs they lack.

    The last ones get theirs with the edges held alone, as by an edit: whoever judged a job while
    its stages were filled, and saw no reason yet to give up waiting, has committed by then. So
    that job, and a specimen that came so, is there to be judged by all that there is.
    """
    guids = await _page(tx, "filled_to", stages, size)
    ends = len(guids) < size
    await lock_edges(tx, to_edit=ends)
    if ends:
        guids = await _page(tx, "filled_to", stages, size)
    await tx.execute(FILL, {"guids": guids, "stages": stages})
    await _move_mark(tx, "filled_to", stages, guids, size)


async def _judge(tx: AsyncConnection, stages: Sequence[int], size: int) -> None:
    """Judge what has not begun of assets by the edges as they are now.

    Those that were at their end and have something to do again are admitted anew; the stage
    that was left of one may be the one taken out.
    """
    await lock_edges(tx)
    guids = await _page(tx, "judged_to", stages, size)
    jobs = (await tx.execute(NOT_BEGUN, {"guids": guids, "stages": stages})).scalars().all()
    await wake(tx, await resolve(tx, jobs))
    await reopen(tx, list((await tx.execute(LEFT_TO_DO, {"jobs": jobs})).scalars()))
    judged = {"jobs": jobs, "guids": guids, "stages": stages}
    left = (await tx.execute(NOTHING_LEFT, judged)).scalars().all()
    await release_if_over(tx, left, at_end=left)
    await _move_mark(tx, "judged_to", stages, guids, size)


async def _page(tx: AsyncConnection, mark: str, stages: Sequence[int], size: int) -> list[str]:
    """The next assets after the mark."""
    following = text(f"""
        SELECT guid FROM track.asset
        WHERE pipeline_id = (SELECT pipeline_id FROM track.stage WHERE id = ANY(:stages) LIMIT 1)
          AND guid > (SELECT min({mark}) FROM track.stage WHERE id = ANY(:stages))
        ORDER BY guid LIMIT :size
    """)
    return list((await tx.execute(following, {"stages": stages, "size": size})).scalars())


async def _move_mark(
    tx: AsyncConnection, mark: str, stages: Sequence[int], guids: Sequence[str], size: int
) -> None:
    """Move the mark to the last of these assets, or, if they are the last there are, to the end."""
    forward = text(f"""
        UPDATE track.stage SET {mark} = CASE WHEN CAST(:last AS text) IS NOT NULL
            THEN greatest({mark}, :last) END
        WHERE id = ANY(:stages)
    """)
    last = guids[-1] if len(guids) == size else None
    await tx.execute(forward, {"stages": stages, "last": last})
