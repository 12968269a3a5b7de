"""What must hold between any two transactions, and once everything is quiet."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.support.truth_clusters import Cluster
from tests.support.truth_world import IN_FLIGHT, SYNCHRONISING, Truth
from track.outlook import outlook
from track.resolve import judge
from track.states import MOVES, State

HELD = "a job is in a dispatcher's hands only when claimed or returned"
HANDS = """
    SELECT id, state FROM track.job
    WHERE dispatcher_id IS NOT NULL AND state NOT IN ('claimed', 'returned')
       OR dispatcher_id IS NULL AND state = 'claimed'
"""
OPEN = """
    SELECT t.id, t.job_id, j.state FROM track.attempt t JOIN track.job j ON j.id = t.job_id
    WHERE t.closed_at IS NULL AND (j.attempt_id IS DISTINCT FROM t.id
                                   OR j.state NOT IN ('queued', 'running'))
"""
LOOSE = """
    SELECT j.id, j.state FROM track.job j LEFT JOIN track.attempt t ON t.id = j.attempt_id
    WHERE j.state IN ('queued', 'running') AND (t.id IS NULL OR t.closed_at IS NOT NULL)
       OR j.state = 'running' AND t.started_by IS NULL
"""
FLIGHT = """
    SELECT count(*) FROM track.asset a JOIN track.pipeline p ON p.id = a.pipeline_id
    WHERE p.name = 'P' AND a.parent_guid IS NULL
      AND a.admitted_at IS NOT NULL AND a.released_at IS NULL
"""
AT_ONCE = """
    SELECT count(*) FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE p.name = 'P' AND s.run = 'synchronise' AND s.kind = 'builtin' AND j.state = 'claimed'
"""
UNADMITTED = """
    SELECT j.id FROM track.job j JOIN track.asset a ON a.guid = j.asset_guid
    WHERE j.state = 'claimed' AND a.parent_guid IS NULL AND a.admitted_at IS NULL
"""
UNWOKEN = """
    SELECT s.id FROM track.session s
    WHERE s.wake_requested_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM track.dispatcher d
        WHERE d.session_id = s.id AND d.ended_at IS NULL AND d.alive_until > clock_timestamp())
"""
SIDE_BY_SIDE = """
    SELECT job_id, array_agg(id) FROM track.attempt WHERE id = ANY(:live)
    GROUP BY job_id HAVING count(*) > 1
"""
STORY = """
    SELECT j.id, j.state, h.old, h.new, h.actor, h.why
    FROM track.job j LEFT JOIN track.history h ON h.job_id = j.id AND h.what = 'job.state'
    ORDER BY j.id, h.id
"""


async def check(tx: AsyncConnection, truth: Truth, clusters: Iterable[Cluster]) -> None:
    """What must hold between any two transactions."""
    assert await _rows(tx, HANDS) == [], HELD
    assert await _rows(tx, OPEN) == [], "an attempt that is not current is open"
    assert await _rows(tx, LOOSE) == [], "a site has a job without an open attempt"
    assert (await _rows(tx, FLIGHT))[0][0] <= IN_FLIGHT, "more assets in flight than allowed"
    assert (await _rows(tx, AT_ONCE))[0][0] <= SYNCHRONISING, "more synchronise than allowed"
    assert await _rows(tx, UNADMITTED) == [], "a root's job is claimed, the root not admitted"
    live = [n.member.attempt for c in clusters for b in c.batches.values() for n in b
            if n.granted and not n.over]  # fmt: skip
    assert await _rows(tx, SIDE_BY_SIDE, live=live) == [], "a job is being done twice at once"
    await _edges_hold(tx)
    for (session_id,) in await _rows(tx, UNWOKEN):
        if session_id not in truth.unwatched:
            seen = await outlook(tx, session_id)
            assert not seen.needs_dispatcher, f"nobody is asked to see to {session_id}: {seen}"


async def _edges_hold(tx: AsyncConnection) -> None:
    """No job waits whose edges hold, none is ready whose edges do not."""
    ids = [row[0] for row in await _rows(tx, "SELECT id FROM track.job ORDER BY id")]
    wrong = [(verdict, verdict.wanted()) for verdict in await judge(tx, ids)]
    wrong = [(verdict, wanted) for verdict, wanted in wrong if wanted is not None]
    assert not wrong, f"edges ask for another state: {wrong}"


async def history_replays(tx: AsyncConnection) -> None:
    """Every job's history leads, move by legal move, to its state; nothing is done twice unasked."""
    stories: dict[int, list[Any]] = {}
    for row in (await tx.execute(text(STORY))).all():
        stories.setdefault(row.id, []).append(row)
    for job_id, rows in stories.items():
        state, done_since = "waiting", False
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
