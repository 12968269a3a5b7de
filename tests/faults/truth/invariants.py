"""What must hold between any two transactions, and once everything is quiet."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.faults.truth.clusters import Cluster
from tests.faults.truth.world import IN_FLIGHT, SYNCHRONISING, Truth
from track.jobs.outlook import outlook
from track.jobs.resolve import judge
from track.jobs.verbs import CLOSINGS
from track.schema.states import MOVES, State

RULES = f"""
    SELECT 'a job is in a dispatcher''s hands that is neither claimed nor returned', id
    FROM track.job WHERE dispatcher_id IS NOT NULL AND state NOT IN ('claimed', 'returned')
    UNION ALL
    SELECT 'a job is claimed by nobody', id
    FROM track.job WHERE dispatcher_id IS NULL AND state = 'claimed'
    UNION ALL
    SELECT 'an attempt that is not current is open', t.id
    FROM track.attempt t JOIN track.job j ON j.id = t.job_id
    WHERE t.closed_at IS NULL AND (j.attempt_id IS DISTINCT FROM t.id
                                   OR j.state NOT IN ('queued', 'running'))
    UNION ALL
    SELECT 'a site has a job without an open, fitting attempt', j.id
    FROM track.job j LEFT JOIN track.attempt t ON t.id = j.attempt_id
    WHERE j.state IN ('queued', 'running') AND (t.id IS NULL OR t.closed_at IS NOT NULL)
       OR j.state = 'running' AND t.started_by IS NULL
    UNION ALL
    SELECT 'more assets are in flight than allowed', count(*)
    FROM track.asset a JOIN track.pipeline p ON p.id = a.pipeline_id
    WHERE p.name = 'P' AND a.parent_guid IS NULL
      AND a.admitted_at IS NOT NULL AND a.released_at IS NULL
    HAVING count(*) > {IN_FLIGHT}
    UNION ALL
    SELECT 'more synchronise at once than allowed', count(*)
    FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE p.name = 'P' AND s.run = 'synchronise' AND s.kind = 'builtin' AND j.state = 'claimed'
    HAVING count(*) > {SYNCHRONISING}
    UNION ALL
    SELECT 'an asset is final whose last stage is not done', max(j.id)
    FROM track.asset a JOIN track.job j ON j.asset_guid = a.guid
    JOIN track.stage s ON s.id = j.stage_id
    WHERE a.finalised_at IS NOT NULL
    GROUP BY a.guid HAVING count(*) FILTER (WHERE s.run = 'finalise' AND j.state = 'done') = 0
    UNION ALL
    SELECT 'an asset whose last stage is done is neither final nor opened again', j.id
    FROM track.asset a JOIN track.job j ON j.asset_guid = a.guid AND j.state = 'done'
    JOIN track.stage s ON s.id = j.stage_id AND s.run = 'finalise'
    WHERE (a.finalised_at IS NULL) = (a.reopened_at IS NULL)
    UNION ALL
    SELECT 'a copy of a final asset is not due', min(j.id)
    FROM track.asset a JOIN track.job j ON j.asset_guid = a.guid
    LEFT JOIN track.attempt t ON t.job_id = j.id
    WHERE a.finalised_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM track.retention r WHERE r.asset_guid = a.guid
          AND (r.kind = 'ndrive' AND t.id IS NULL AND r.location = a.source_path
               OR r.kind = 'site' AND r.location = t.site))
      AND (t.id IS NOT NULL OR a.source_path IS NOT NULL)
      -- Nobody of us reaches one that agents work.
      AND NOT EXISTS (SELECT 1 FROM track.site k WHERE k.name = t.site AND k.kind = 'pull')
      AND NOT EXISTS (SELECT 1 FROM track.job m WHERE m.asset_guid = a.guid
                       AND m.state NOT IN ('done', 'excluded', 'absent'))
    GROUP BY a.guid
    UNION ALL
    SELECT 'a specimen has left its throttle before its end, and nothing gave up', min(j.id)
    FROM track.asset a JOIN track.job j ON j.asset_guid = a.guid
    WHERE a.released_at IS NOT NULL AND a.finalised_at IS NULL AND a.reopened_at IS NULL
    GROUP BY a.guid
    HAVING bool_or(j.state IN ('waiting', 'ready', 'claimed', 'queued', 'running', 'returned'))
       AND NOT bool_or(j.state IN ('failed', 'cancelled'))
    UNION ALL
    SELECT 'the end of an asset that was opened again is not done again', id
    FROM ({CLOSINGS}) AS closing
    UNION ALL
    SELECT 'a job is being done twice at once', job_id
    FROM track.attempt WHERE id = ANY(:live)
    GROUP BY job_id HAVING count(*) > 1
"""
UNWOKEN = """
    SELECT s.id FROM track.session s
    WHERE s.wake_requested_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM track.dispatcher d
        WHERE d.session_id = s.id AND d.ended_at IS NULL AND d.alive_until > clock_timestamp())
"""
NOTES = "SELECT wake_at, room FROM track.session WHERE id = :session"
JUDGED = """
    SELECT j.id FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    WHERE s.judged_to IS NULL ORDER BY j.id
"""
STORY = """
    SELECT j.id, j.state, h.old, h.new, h.actor, h.why
    FROM track.job j LEFT JOIN track.history h ON h.job_id = j.id AND h.what = 'job.state'
    ORDER BY j.id, h.id
"""


async def check(tx: AsyncConnection, truth: Truth, clusters: Iterable[Cluster]) -> None:
    """What must hold between any two transactions."""
    live = [
        native.member.attempt
        for cluster in clusters
        for batch in cluster.batches.values()
        for native in batch
        if native.granted and not native.over
    ]
    broken = await _rows(tx, RULES, live=live)
    assert broken == [], broken
    await _edges_hold(tx)
    if truth.turns.racing:
        return  # in a race nobody knows at which moment a process has died
    for (session_id,) in await _rows(tx, UNWOKEN):
        if session_id not in truth.unwatched:
            seen = await outlook(tx, session_id)
            if seen.claimed or seen.returned or not (seen.ready or seen.room or seen.later):
                assert not seen.needs_dispatcher, f"nobody is asked to see to {session_id}: {seen}"
                continue
            ((wake_at, room),) = await _rows(tx, NOTES, session=session_id)
            noted = (not seen.later or wake_at) and (not (seen.ready or seen.room) or room)
            # Whose time has come since it was noted is found by that note.
            assert noted or wake_at, f"nobody knows what {session_id} waits for: {seen}"


async def _edges_hold(tx: AsyncConnection) -> None:
    """No job waits whose edges hold, none is ready whose edges do not.

    But for stages that an edit has just changed: their jobs are yet to be judged.
    """
    ids = [row[0] for row in await _rows(tx, JUDGED)]
    wrong = [(verdict, verdict.wanted()) for verdict in await judge(tx, ids)]
    wrong = [(verdict, wanted) for verdict, wanted in wrong if wanted is not None]
    assert not wrong, f"edges ask for another state: {wrong}"


async def history_replays(tx: AsyncConnection) -> None:
    """Every job's history leads, move by legal move, to its state; nothing is redone unasked."""
    stories: dict[int, list[Any]] = {}
    for row in (await tx.execute(text(STORY))).all():
        stories.setdefault(row.id, []).append(row)
    for job_id, rows in stories.items():
        # It is made as waiting, or as ready where its stage needs nothing.
        state, done_since = rows[0].old or rows[0].state, False
        assert state in ("waiting", "ready"), f"job {job_id} begins as {state}"
        for row in rows if rows[0].new is not None else ():
            assert row.old == state, f"job {job_id}: history says {row.old}, it was {state}"
            assert State(row.new) in MOVES[State(row.old)], f"job {job_id}: {row.old} → {row.new}"
            if row.new == "running":
                assert not done_since, f"job {job_id} runs again without a reason"
            if row.new == "returned":
                done_since = True
            elif row.old in ("returned", "done") and row.new != "done":
                assert row.why, f"job {job_id} is undone without a word: {row.old} → {row.new}"
                done_since = False
            state = row.new
        assert state == rows[0].state, f"job {job_id}: replayed to {state}, is {rows[0].state}"


async def _rows(tx: AsyncConnection, statement: str, **values: object) -> list[Any]:
    return list((await tx.execute(text(statement), values)).all())
