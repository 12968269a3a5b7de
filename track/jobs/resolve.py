"""Edges: which jobs a change lets run, and which it holds back again.

Runs in the transaction of the move that triggers it and touches only the jobs
that the move can affect. Those rows are locked first, in order, and judged by a
second statement: otherwise two finishing siblings each see the other unfinished
and the join waits for ever.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.edges import lock_edges
from track.jobs.exclusions import left_out
from track.jobs.moves import lock, move_all
from track.schema.arrays import any_of
from track.schema.states import IN_HAND, State
from track.schema.tables import job

ACTOR = "resolve"

DOWNSTREAM = text("""
    WITH changed AS (
        SELECT j.id, j.asset_guid, j.stage_id, a.parent_guid, a.pipeline_id, a.x, a.y, a.z
        FROM track.job j JOIN track.asset a ON a.guid = j.asset_guid
        WHERE j.id = ANY(:changed)
    )
    SELECT d.id FROM changed c
      JOIN track.edge e ON e.upstream_id = c.stage_id AND e.selector IN ('self', 'children')
      JOIN track.job d ON d.stage_id = e.stage_id
       AND d.asset_guid = CASE e.selector WHEN 'self' THEN c.asset_guid ELSE c.parent_guid END
    UNION
    SELECT d.id FROM changed c
      JOIN track.edge e ON e.upstream_id = c.stage_id AND e.selector = 'parent'
      JOIN track.asset child ON child.parent_guid = c.asset_guid
      JOIN track.job d ON d.stage_id = e.stage_id AND d.asset_guid = child.guid
      JOIN track.stage u ON u.id = c.stage_id
      JOIN track.pipeline cp ON cp.id = child.pipeline_id
     WHERE CAST(:made AS boolean) OR u.emits IS DISTINCT FROM cp.name
    UNION
    SELECT d.id FROM changed c
      JOIN track.edge e ON e.upstream_id = c.stage_id AND e.selector = 'offset'
      JOIN track.asset n ON n.pipeline_id = c.pipeline_id
       AND n.z = c.z - e.dz AND n.y = c.y - e.dy AND n.x = c.x - e.dx
      JOIN track.job d ON d.stage_id = e.stage_id AND d.asset_guid = n.guid
    UNION  -- what an emitting job declares decides how many children are awaited
    SELECT d.id FROM changed c
      JOIN track.stage emitter ON emitter.id = c.stage_id AND emitter.emits IS NOT NULL
      JOIN track.stage own ON own.pipeline_id = emitter.pipeline_id
      JOIN track.edge e ON e.stage_id = own.id AND e.selector = 'children'
      JOIN track.job d ON d.stage_id = own.id AND d.asset_guid = c.asset_guid
""")

NEIGHBOURS = """
    SELECT a.guid WHERE e.selector = 'self'
    UNION ALL SELECT a.parent_guid WHERE e.selector = 'parent'
    UNION ALL SELECT c.guid FROM track.asset c
        WHERE e.selector = 'children' AND c.parent_guid = a.guid
    UNION ALL SELECT n.guid FROM track.asset n
        WHERE e.selector = 'offset' AND n.pipeline_id = a.pipeline_id
          AND n.z = a.z + e.dz AND n.y = a.y + e.dy AND n.x = a.x + e.dx
"""
"""Whose jobs edge `e` looks at, for asset `a`."""

JUDGE = text(f"""
    SELECT j.id AS job_id, j.state, own.archived_at IS NOT NULL AS archived,
           EXISTS (SELECT 1 FROM jsonb_array_elements(p.exclude) rule
                    WHERE rule -> 'stages' ? own.key) AS ruled,
           coalesce(bool_and(v.accepted), true) AS satisfied,
           coalesce(bool_or(v.missing), false) AS missing
    FROM track.job j
    CROSS JOIN LATERAL (SELECT * FROM track.asset WHERE guid = j.asset_guid OFFSET 0) a
    JOIN track.stage own ON own.id = j.stage_id
    JOIN track.pipeline p ON p.id = own.pipeline_id
    LEFT JOIN track.edge e ON e.stage_id = j.stage_id
    LEFT JOIN track.stage up ON up.id = e.upstream_id
    LEFT JOIN LATERAL (
        -- Looked up one by one, whatever the planner believes of a stage that was just filled.
        SELECT count(*) FILTER (WHERE u.state = ANY(e.accept)) AS good,
               count(*) FILTER (WHERE u.state <> 'absent') AS known,
               count(*) FILTER (WHERE u.state NOT IN (
                   'absent', 'done', 'excluded', 'failed', 'cancelled')) AS to_come
        FROM (
{NEIGHBOURS}
        ) whose(guid) CROSS JOIN LATERAL (
            SELECT up_job.state FROM track.job up_job
            WHERE up_job.asset_guid = whose.guid AND up_job.stage_id = e.upstream_id OFFSET 0
        ) u
    ) u ON e.id IS NOT NULL
    LEFT JOIN LATERAL (
        -- One that ends excluded has declared nothing to wait for; one that the asset is yet to
        -- get has declared nothing yet.
        SELECT sum(CASE WHEN m.state = 'excluded' THEN 0 ELSE m.declared END) AS declared,
               bool_and(CASE WHEN m.id IS NULL THEN s.filled_to IS NULL
                             ELSE m.declared IS NOT NULL OR m.state = 'excluded' END) AS known
        FROM track.stage s
        JOIN track.pipeline child ON child.id = up.pipeline_id AND child.name = s.emits
        LEFT JOIN track.job m ON m.stage_id = s.id AND m.asset_guid = a.guid
        WHERE e.selector = 'children' AND s.pipeline_id = a.pipeline_id
    ) d ON e.selector = 'children'
    CROSS JOIN LATERAL (
        SELECT CASE WHEN e.id IS NULL THEN true
                    WHEN e.selector = 'children'
                    -- Of those made earlier too: one that is done must not stand for one to come.
                    THEN coalesce(d.known AND u.good >= d.declared AND u.to_come = 0
                                  AND up.filled_to IS NULL, false)
                    ELSE u.good > 0 END AS accepted,
               -- While a stage is back-filled nobody lacks its job for good: it is waited for.
               CASE WHEN e.id IS NULL OR e.selector = 'children' THEN false
                    ELSE u.known = 0 AND up.filled_to IS NULL END AS missing
    ) v
    WHERE j.id = ANY(:affected)
    GROUP BY j.id, j.state, own.id, p.id
    ORDER BY j.id
""")


ADMIT_ANEW = text("""
    UPDATE track.asset a SET admitted_at = NULL, released_at = NULL
    WHERE a.guid IN (SELECT asset_guid FROM track.job WHERE id = ANY(:jobs))
      AND a.released_at IS NOT NULL AND a.finalised_at IS NULL
      AND NOT EXISTS (SELECT 1 FROM track.job j WHERE j.asset_guid = a.guid
                       AND j.state IN ('failed', 'cancelled'))
""")
"""Of these jobs' assets those with which nothing was left to do: they left their throttle, and
have something to do again. One that left it because something gave up is a person's."""


@dataclass(frozen=True)
class EdgeVerdict:
    """How one job stands towards its edges."""

    job_id: int
    state: State
    satisfied: bool
    missing: bool
    archived: bool  # its stage was taken out of the pipeline
    ruled: bool  # an exclude rule names its stage

    def wanted(self) -> State | None:
        """The state the edges ask for, when it is another one."""
        if self.state not in (State.ABSENT, State.WAITING, State.READY):
            return None
        if self.archived:
            return None if self.state == State.ABSENT else State.EXCLUDED
        new = State.WAITING
        if self.missing:
            new = State.ABSENT
        elif self.satisfied and self.state != State.ABSENT:
            new = State.READY
        return None if new == self.state else new


async def judge(tx: AsyncConnection, affected: Iterable[int]) -> list[EdgeVerdict]:
    """Judge jobs against their edges as they stand now."""
    rows = await tx.execute(JUDGE, {"affected": sorted(affected)})
    return [EdgeVerdict(**{**row, "state": State(row["state"])}) for row in rows.mappings()]


async def downstream(
    tx: AsyncConnection, changed: Iterable[int], *, made: bool = True
) -> list[int]:
    """The jobs that a change of these jobs can affect; unless `made`, not what they emit."""
    await lock_edges(tx)
    row = {"changed": sorted(changed), "made": made}
    return sorted((await tx.execute(DOWNSTREAM, row)).scalars())


async def resolve(tx: AsyncConnection, affected: Iterable[int]) -> list[int]:
    """Bring jobs in line with their edges, and whatever follows; the ids that became ready."""
    ready: list[int] = []
    frontier = sorted(set(affected))
    while frontier:
        await lock(tx, frontier)
        changed = await _apply(tx, await judge(tx, frontier), ready)
        frontier = await downstream(tx, changed)
        # A job that has just become waiting is judged once more: its edges may hold already.
        frontier = sorted({*frontier, *(i for i, new in changed.items() if new == State.WAITING)})
    return ready


async def _apply(
    tx: AsyncConnection, verdicts: list[EdgeVerdict], ready: list[int]
) -> dict[int, State]:
    """Make the wanted moves; what moved and whereto, leaving out what nothing can hang on."""
    groups: dict[tuple[State, State, str], list[int]] = {}
    ruled_out = await _ruled_out(tx, verdicts)
    for verdict in verdicts:
        new = State.EXCLUDED if verdict.job_id in ruled_out else verdict.wanted()
        if new is not None:
            archived = "its stage was taken out of the pipeline" if verdict.archived else ""
            why = ruled_out.get(verdict.job_id, archived)
            groups.setdefault((verdict.state, new, why), []).append(verdict.job_id)
    changed: dict[int, State] = {}
    for (old, new, why), ids in groups.items():
        moved = await move_all(tx, ids, old, new, actor=ACTOR, why=why)
        if old == State.ABSENT and new == State.WAITING and moved:
            await tx.execute(ADMIT_ANEW, {"jobs": moved})
        if new == State.READY:
            ready.extend(moved)
        elif (old, new) != (State.READY, State.WAITING):
            changed.update(dict.fromkeys(moved, new))
    return changed


async def _ruled_out(tx: AsyncConnection, verdicts: list[EdgeVerdict]) -> dict[int, str]:
    """Those about to become ready that an exclude rule leaves out, with the rule."""
    asked = [each.job_id for each in verdicts if each.ruled and each.wanted() == State.READY]
    return await left_out(tx, asked) if asked else {}


async def undo_downstream(tx: AsyncConnection, left: Iterable[int], *, actor: str) -> list[int]:
    """Follow jobs that left an accepted state: what was built on them has to be done again.

    Finished and ready downstream jobs go back to waiting, those that are claimed or at a site are
    marked `redo` and go back when they end. The ids of the finished ones. What an emitting
    stage has made only waits where it has not begun: when it is made anew, those go back
    whose file is another.
    """
    changed = list(left)
    frontier = await downstream(tx, changed, made=False)
    undone: list[int] = []
    why = "an earlier stage is being done again"
    await _wait_for_maker(tx, changed, frontier, actor, why)
    while frontier:
        await lock(tx, frontier)
        again: list[int] = []
        for state in (State.DONE, State.EXCLUDED):
            again += await move_all(
                tx, frontier, state, State.WAITING, actor=actor, why=why, declared=None
            )
        await move_all(tx, frontier, State.READY, State.WAITING, actor=actor, why=why)
        undone += again
        busy = any_of(job.c.id, frontier) & job.c.state.in_(sorted(IN_HAND))
        await tx.execute(update(job).where(busy).values(redo=True))
        frontier = await downstream(tx, again, made=False)
        await _wait_for_maker(tx, again, frontier, actor, why)
    return undone


async def _wait_for_maker(
    tx: AsyncConnection, changed: Iterable[int], others: Iterable[int], actor: str, why: str
) -> None:
    """Put back what is ready of the assets that these jobs make."""
    made = sorted({*await downstream(tx, changed)} - {*others})
    if made:
        await lock(tx, made)
        await move_all(tx, made, State.READY, State.WAITING, actor=actor, why=why)
