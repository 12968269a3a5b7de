"""Why a job that does not move does not move: worked out when somebody asks, never stored.

`FACTS` reads what bears on a job, by its id, and joins only rows of that job's own asset,
stage, site and session, so that it costs the same however much was ever done. What a claim
decides (`jobs.claims`, `jobs.sites`) is asked by the claim's own conditions, so that the answer
cannot differ from what happens. `track.reports.waiting_words` makes the sentence.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.outputs import AWAITED
from track.jobs.resolve import NEIGHBOURS
from track.jobs.room import rooms_of
from track.jobs.site_load import Load, read_load
from track.jobs.sites import TAKES, WITHOUT_SITE
from track.reports.overdue import OVERDUE
from track.reports.waiting_words import Full, Waits, explained

UPSTREAM = f"""
    SELECT jsonb_agg(jsonb_build_object('stage', us.key, 'selector', e.selector, 'good', u.good,
               'declared', d.declared, 'others', u.others) ORDER BY us.position, e.id) AS upstream
    FROM track.edge e
    JOIN track.stage us ON us.id = e.upstream_id
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE u.state = ANY(e.accept)) AS good,
               jsonb_agg(jsonb_build_object('guid', u.asset_guid, 'state', u.state)
                         ORDER BY u.state NOT IN ('failed', 'cancelled'), u.asset_guid)
                   FILTER (WHERE u.state <> ALL(e.accept)) AS others
        FROM track.job u
        WHERE u.stage_id = e.upstream_id AND u.asset_guid IN ({NEIGHBOURS})
    ) u
    LEFT JOIN LATERAL (
        SELECT sum(m.declared) AS declared
        FROM track.pipeline cp
        JOIN track.stage ms ON ms.pipeline_id = a.pipeline_id AND ms.emits = cp.name
        JOIN track.job m ON m.stage_id = ms.id AND m.asset_guid = a.guid
        WHERE e.selector = 'children' AND cp.id = us.pipeline_id
    ) d ON true
    WHERE e.stage_id = j.stage_id
"""

SITES = f"""
    SELECT jsonb_agg(jsonb_build_object('site', t.name, 'open', t.open, 'degraded', t.degraded,
               'seen_at', t.seen_at, 'lacks', t.lacks -> s.run ->> 'why',
               'takes', {TAKES}) ORDER BY t.rank) AS sites
    FROM track.site t
    WHERE s.sites IS NULL OR s.sites ? t.name
"""

FACTS = text(f"""
    SELECT j.id, a.guid, a.session_id, a.pipeline_id, p.name AS pipeline, s.key AS stage,
           s.run, j.state, j.reason, j.available_at, j.updated_at AS since,
           j.available_at > now() AS later,
           s.kind = 'builtin' AND s.run = 'synchronise' AS synchronises,
           a.admitted_at IS NULL AND a.parent_guid IS NULL
           AND NOT (s.kind = 'builtin' AND s.run IN ('finalise', 'close_share')) AS enters,
           a.size_mb, a.reserved_mb,
           a.attention, up.guid AS parent_guid, up.attention AS parents_attention,
           p.active AS pipeline_on, s.active AS stage_on,
           EXISTS (SELECT 1 FROM track.dispatcher d WHERE d.session_id = a.session_id
                    AND d.ended_at IS NULL AND d.alive_until > now()) AS dispatcher,
           se.wake_requested_at AS asked_at,
           t.site, t.external_id, t.batch_id, t.cancel_requested_at IS NOT NULL AS cancelling,
           b.state AS batch_state, b.key AS batch_key,
           here.open AS site_open, here.degraded AS site_degraded, here.definition AS site_def,
           j.state IN ('queued', 'running') AND {OVERDUE} AS overdue,
           {AWAITED} AS awaited, w.upstream, x.sites,
           j.state = 'ready' AND {WITHOUT_SITE} AS without_site
    FROM track.job j
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    JOIN track.session se ON se.id = a.session_id
    LEFT JOIN track.asset up ON up.guid = a.parent_guid
    LEFT JOIN track.attempt t ON t.id = j.attempt_id
     AND j.state IN ('queued', 'running', 'returned')
    LEFT JOIN track.batch b ON b.id = t.batch_id
    LEFT JOIN track.site here ON here.name = t.site
    LEFT JOIN LATERAL ({UPSTREAM}) w ON j.state IN ('waiting', 'absent')
    LEFT JOIN LATERAL ({SITES}) x ON j.state = 'ready' AND s.kind <> 'builtin'
    WHERE j.id = ANY(:jobs) AND j.state NOT IN ('done', 'excluded')
    ORDER BY a.guid, s.position, j.id
""")

NEED_PERSON = text("""
    SELECT a.pipeline_id, count(*) AS held
    FROM track.asset a
    CROSS JOIN LATERAL (
        SELECT 1 FROM (
            SELECT a.guid, a.attention
            UNION ALL SELECT c.guid, c.attention FROM track.asset c WHERE c.parent_guid = a.guid
        ) m
        -- As a lateral join: an EXISTS in an OR is answered by reading every job there is.
        LEFT JOIN LATERAL (
            SELECT j.id FROM track.job j
             WHERE j.asset_guid = m.guid AND j.state IN ('failed', 'cancelled') LIMIT 1
        ) f ON true
        WHERE m.attention IS NOT NULL OR f.id IS NOT NULL
        LIMIT 1
    ) held
    WHERE a.pipeline_id = ANY(:pipelines) AND a.parent_guid IS NULL
      AND a.admitted_at IS NOT NULL AND a.released_at IS NULL
    GROUP BY a.pipeline_id
""")
"""Specimens in flight that move no further until a person has decided."""

OF_ASSET = text("""
    SELECT j.id FROM track.asset a JOIN track.job j ON j.asset_guid = a.guid
    WHERE (a.guid = :guid OR a.parent_guid = :guid)
      AND j.state NOT IN ('done', 'excluded', 'absent')
""")
OF_SESSION = text("""
    SELECT j.id FROM track.asset a JOIN track.job j ON j.asset_guid = a.guid
    WHERE a.session_id = :session AND j.state NOT IN ('done', 'excluded', 'absent')
      AND j.state <> ALL(CAST(:not AS text[]))
    ORDER BY j.id LIMIT :limit
""")
# Each part names a partial index by its own condition, so none of it looks at what is over.
ANYWHERE = text("""
    (SELECT id FROM track.job WHERE state = 'ready' ORDER BY available_at LIMIT :limit)
    UNION ALL
    (SELECT id FROM track.job WHERE state IN ('claimed', 'queued', 'running', 'returned')
      LIMIT :limit)
    UNION ALL
    (SELECT id FROM track.job WHERE state IN ('failed', 'cancelled')
      ORDER BY updated_at DESC LIMIT :limit)
""")


async def reasons(tx: AsyncConnection, job_ids: Iterable[int]) -> list[Waits]:
    """Why each of these jobs stands where it stands; those that are over are left out."""
    rows = (await tx.execute(FACTS, {"jobs": sorted(set(job_ids))})).all()
    full = await _full(tx, [row for row in rows if row.state == "ready"])
    loads = await _loads(tx, rows)
    return [explained(row, full.get(row.id), loads.get(row.site)) for row in rows]


async def of_asset(tx: AsyncConnection, guid: str) -> list[Waits]:
    """Every job of an asset and of its derivatives that is not over."""
    return await reasons(tx, (await tx.execute(OF_ASSET, {"guid": guid})).scalars())


async def of_session(tx: AsyncConnection, session_id: UUID, limit: int = 2000) -> list[Waits]:
    """A session's jobs that are not over, `limit` at most.

    Those that wait for others are among them only when it has no others.
    """
    for left_out in (["waiting"], []):
        given = {"session": session_id, "limit": limit, "not": left_out}
        if ids := (await tx.execute(OF_SESSION, given)).scalars().all():
            return await reasons(tx, ids)
    return []


async def anywhere(tx: AsyncConnection, limit: int = 2000) -> list[Waits]:
    """The same of all sessions, `limit` of each: ready, in somebody's hands, with a person."""
    return await reasons(tx, (await tx.execute(ANYWHERE, {"limit": limit})).scalars())


async def _full(tx: AsyncConnection, ready: Sequence[Row[Any]]) -> dict[int, Full]:
    """Which ready jobs their pipeline's throttle holds now, and how full it is."""
    counted = [row for row in ready if row.enters or row.synchronises]
    pipelines = {row.pipeline_id for row in counted}
    if not counted:
        return {}
    rooms = await rooms_of(tx, pipelines)
    asked = {"pipelines": sorted(pipelines)}
    held = {row.pipeline_id: row.held for row in await tx.execute(NEED_PERSON, asked)}
    found = {}
    for row in counted:
        room = rooms[row.pipeline_id]
        if not deepcopy(room).admits(row):  # a room counts whom it admits
            found[row.id] = Full(row.pipeline, room, held.get(row.pipeline_id, 0))
    return found


async def _loads(tx: AsyncConnection, rows: Sequence[Row[Any]]) -> dict[str, Load]:
    """What the sites have of ours whose queues hold something that was not sent yet."""
    names = {row.site for row in rows if row.state == "queued" and row.batch_id is None}
    return {name: await read_load(tx, name) for name in sorted(names)}
