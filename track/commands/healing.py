"""What reconcile looks for: work that nobody is at, and traces of dispatchers that died.

In a quiet system each of these finds nothing. None of them touches what a live
dispatcher holds: a session's row is locked before its leases are read, so that no new
one can be taken meanwhile.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import exists, func, literal_column, or_, select, text, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.moves import lock
from track.jobs.parking import wake_or_park
from track.jobs.resolve import judge, resolve
from track.jobs.takeover import release_jobs
from track.records.documents import is_unpushed
from track.records.wake import wake, wake_session
from track.schema.arrays import any_of
from track.schema.history import record
from track.schema.states import IN_HAND
from track.schema.tables import dispatcher, document, history, job, session, stage

ACTOR = "reconcile"

PAGE = 5000
"""Waiting jobs judged by one run; more than these take turns, a page a minute."""

MAX_PUSHES = 100
"""Assets whose metadata one run pushes."""

REFUSED = "metadata.refused"
"""How history calls it that the archive took no metadata of an asset."""

NO_LIVE_DISPATCHER = """
    NOT EXISTS (SELECT 1 FROM track.dispatcher d WHERE d.session_id = s.id
                 AND d.ended_at IS NULL AND d.alive_until > now())
    AND (s.wake_requested_at IS NULL
         OR s.wake_requested_at < now() - CAST(:patience AS interval))
"""
"""Nobody is at session `s`, and a wake that was asked for has had its time."""

# Jobs' states are written out, for the condition of the index job_open follows from them.
NEGLECTED = text(f"""
    SELECT s.id
    FROM (SELECT DISTINCT a.session_id
          FROM track.job j JOIN track.asset a ON a.guid = j.asset_guid
          WHERE j.state IN ('ready', 'claimed', 'returned')
            AND j.updated_at < now() - CAST(:patience AS interval)) waits
    JOIN track.session s ON s.id = waits.session_id
    WHERE s.parked_at IS NULL AND {NO_LIVE_DISPATCHER}  -- what is parked waits by its row
    UNION
    SELECT s.id FROM track.session s WHERE s.wake_requested_at IS NOT NULL AND {NO_LIVE_DISPATCHER}
    ORDER BY 1
""")

SESSIONS = """
    SELECT s.id
    FROM track.session s
    CROSS JOIN LATERAL (SELECT max(d.started_at) AS last,
                               make_interval(mins => least(60, count(*)::int)) AS pause
                          FROM track.dispatcher d WHERE d.session_id = s.id) d
"""
"""Sessions `s`, and when the last dispatcher of each was started. The next one waits for a `pause`
that grows: a folder that cannot be read must not start one every minute."""

UNREGISTERED = text(f"""
    {SESSIONS}
    WHERE s.registered_at IS NULL
      AND s.opened_at < now() - CAST(:patience AS interval)
      AND (d.last IS NULL OR d.last < now() - d.pause)
      AND {NO_LIVE_DISPATCHER}
    ORDER BY s.id
""")

UNCLOSED = text(f"""
    {SESSIONS}
    CROSS JOIN LATERAL (
        SELECT array_agg(o.id) AS ids, bool_or(o.opened_at > s.opened_at) AS followed,
               bool_or(o.known <> '[]') AS noted
        FROM track.session o WHERE o.opened_as = s.opened_as AND o.path = s.path
    ) f
    CROSS JOIN LATERAL (
        SELECT coalesce(bool_and(j.state IN ('done', 'excluded', 'cancelled')
                                 OR a.quarantine IS NOT NULL),
                        f.noted) AS decided
        FROM track.asset a
        JOIN track.job j ON j.asset_guid = a.guid
        JOIN track.stage st ON st.id = j.stage_id AND st.pipeline_id = a.pipeline_id
         AND st.kind = 'builtin' AND st.run = 'ingest'
        WHERE a.session_id = ANY(f.ids) AND a.parent_guid IS NULL
    ) i
    WHERE s.finished_at IS NOT NULL
      AND s.finished_at < now() - CAST(:patience AS interval) AND i.decided AND NOT f.followed
      AND s.path !~ '/(imported|error)_[^/]*$'  -- as in the index session_unclosed
      AND s.opened_at > now() - interval '7 days'  -- a folder that a person took away stays away
      AND d.last < now() - d.pause
      AND {NO_LIVE_DISPATCHER}
    ORDER BY s.id
""")

UNREADABLE_FILES = text("""
    SELECT a.file_name, a.session_id, coalesce(a.source_path, s.path) AS folder
    FROM track.job j
    JOIN track.asset a ON a.guid = j.asset_guid AND a.quarantine IS NULL AND a.parent_guid IS NULL
    JOIN track.stage st ON st.id = j.stage_id AND st.pipeline_id = a.pipeline_id
     AND st.kind = 'builtin' AND st.run = 'ingest'
    JOIN track.session s ON s.id = a.session_id
    CROSS JOIN LATERAL (SELECT count(*) AS times FROM track.history h
                         WHERE h.asset_guid = a.guid AND h.what = 'asset.reopened') h
    WHERE j.state = 'failed'
      -- One that can be opened and fails all the same must not be tried every minute.
      AND (h.times = 0 OR j.updated_at < now() - make_interval(mins => least(60, h.times::int)))
    ORDER BY a.guid
""")

FORGOTTEN = text("""
    WITH old AS (SELECT j.id FROM track.job j JOIN track.stage s ON s.id = j.stage_id
                  WHERE j.state = 'waiting' AND j.updated_at < now() - CAST(:patience AS interval)
                    AND s.judged_to IS NULL),  -- else a back-fill is on its way to it
         pages AS (SELECT greatest(1, ceil(count(*) / :page ::numeric))::bigint AS n FROM old)
    SELECT old.id FROM old, pages
    WHERE old.id % pages.n = (extract(epoch FROM now())::bigint / 60) % pages.n
    ORDER BY old.id
""")

SILENT = text("""
    SELECT d.id, d.session_id
    FROM track.dispatcher d
    WHERE d.ended_at IS NULL AND d.alive_until < now() - CAST(:patience AS interval)
    ORDER BY d.id
""")

# Two parts, each with an index of its own: those that ended, and those that only fell silent.
DEAD_RUNS = text("""
    SELECT d.flow_run_id, d.ended_why FROM (
        SELECT flow_run_id, ended_why, ended_at AS over FROM track.dispatcher
        WHERE ended_at < now() - CAST(:patience AS interval)
          AND ended_at > now() - CAST(:within AS interval)
        UNION ALL
        SELECT flow_run_id, ended_why, alive_until FROM track.dispatcher
        WHERE ended_at IS NULL AND alive_until < now() - CAST(:patience AS interval)
          AND alive_until > now() - CAST(:within AS interval)) d
    WHERE d.flow_run_id IS NOT NULL
    ORDER BY d.over DESC
""")

HOLDS = text("""
    SELECT EXISTS (
        SELECT 1 FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted
          AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND classid = CAST(:high AS oid) AND objid = CAST(:low AS oid))
""")


@dataclass(frozen=True)
class UnreadableFiles:
    """A specimen, by the folder and the base name of its files."""

    session_id: UUID
    folder: Path
    file_name: str


async def neglected(tx: AsyncConnection, patience: timedelta) -> list[UUID]:
    """Sessions with jobs to claim or to finish and no dispatcher, and none on its way.

    Those that were asked for in vain too; not those that are parked.
    """
    return list((await tx.execute(NEGLECTED, {"patience": patience})).scalars())


async def unregistered(tx: AsyncConnection, patience: timedelta) -> list[UUID]:
    """Sessions whose specimens nobody has registered: never announced, or in vain."""
    return list((await tx.execute(UNREGISTERED, {"patience": patience})).scalars())


async def unreadable_files(tx: AsyncConnection) -> list[UnreadableFiles]:
    """Specimens whose ingest failed without a fault of theirs: their files could not be used."""
    rows = await tx.execute(UNREADABLE_FILES)
    return [UnreadableFiles(row.session_id, Path(row.folder), row.file_name) for row in rows]


async def unclosed(tx: AsyncConnection, patience: timedelta) -> list[UUID]:
    """Finished sessions, the last of their folders, that were not renamed though all is decided.

    The drive was away at their end, or files came that no session has seen.
    """
    return list((await tx.execute(UNCLOSED, {"patience": patience})).scalars())


async def request_dispatcher(tx: AsyncConnection, session_id: UUID, *, idle: bool = False) -> bool:
    """Release what dead dispatchers hold of a session, and ask for a new one.

    False when there is one by now, or when nothing can be done at this moment: what it waits
    for is noted then. `idle`, or asked for before: even if there is nothing to do.
    """
    if await _has_dispatcher(tx, session_id):
        return False
    await release_jobs(tx, session_id, actor=ACTOR)
    row = select(session.c.registered_at.is_not(None), session.c.wake_requested_at.is_not(None))
    known, asked = (await tx.execute(row.where(session.c.id == session_id))).one()
    mine = session.c.id == session_id
    if known and not asked and not idle:
        await wake_or_park(tx, session_id)
        if (await tx.execute(select(session.c.wake_requested_at).where(mine))).scalar() is None:
            return False
    else:
        # A new event, with an id of its own: the one before has led to nothing.
        await tx.execute(update(session).where(mine).values(wake_requested_at=None))
        await wake_session(tx, session_id)
    await record(tx, actor=ACTOR, what="session.woken", session_id=session_id)
    return True


async def _has_dispatcher(tx: AsyncConnection, session_id: UUID) -> bool:
    """Whether a session has a live lease; none can be taken until the caller commits."""
    row = select(session.c.id).where(session.c.id == session_id)
    await tx.execute(row.with_for_update(key_share=True))
    alive = select(dispatcher.c.id).where(
        dispatcher.c.session_id == session_id,
        dispatcher.c.ended_at.is_(None),
        dispatcher.c.alive_until > func.now(),
    )
    return (await tx.execute(alive)).first() is not None


async def unpushed_metadata(tx: AsyncConnection, patience: timedelta) -> list[str]:
    """Assets whose metadata the archive lacks and nobody is about to push; the last refused last.

    So it is with a label that was finalised when its specimen was read, and where a script
    reported after its end. The subflow of a job in hand pushes by itself.
    """
    soon = select(job.c.id).where(
        job.c.asset_guid == document.c.asset_guid, job.c.state.in_(sorted(IN_HAND))
    )
    nobody_soon = soon.limit(1).scalar_subquery().is_(None)  # as in `is_unpushed`
    refused = (
        select(func.count().label("times"), func.max(history.c.at).label("last"))
        .where(history.c.asset_guid == document.c.asset_guid, history.c.what == REFUSED)
        .where(history.c.at > document.c.updated_at)
        .lateral()
    )
    wait = func.least(60, refused.c.times) * literal_column("interval '1 minute'")
    # Without an archive every document stays unpushed; none of them is looked at then.
    any_archive = exists().where(stage.c.kind == "builtin", stage.c.run == "create")
    statement = (
        select(document.c.asset_guid)
        .join(refused, true())
        .where(any_archive, is_unpushed(), nobody_soon)
        .where(document.c.updated_at < func.now() - patience)
        .where(or_(refused.c.times == 0, refused.c.last < func.now() - wait))
        .order_by(refused.c.times, document.c.updated_at)
        .limit(MAX_PUSHES)
    )
    return list((await tx.execute(statement)).scalars())


async def forgotten(tx: AsyncConnection, patience: timedelta) -> list[int]:
    """Jobs that have waited long and whose edges say that they should not."""
    ids = (await tx.execute(FORGOTTEN, {"patience": patience, "page": PAGE})).scalars().all()
    return await _wrong(tx, ids)


async def _wrong(tx: AsyncConnection, job_ids: Sequence[int]) -> list[int]:
    return [verdict.job_id for verdict in await judge(tx, job_ids) if verdict.wanted() is not None]


async def re_evaluate(tx: AsyncConnection, job_ids: Sequence[int]) -> list[int]:
    """Bring forgotten jobs in line with their edges; those that still had to be.

    Each is a bug of ours: a move was not followed by the resolve it needs.
    """
    await lock(tx, job_ids)
    wrong = await _wrong(tx, job_ids)
    await wake(tx, await resolve(tx, wrong))
    return wrong


async def close_silent(tx: AsyncConnection, patience: timedelta) -> list[UUID]:
    """End the rows of dispatchers that are long past their lease and hold no lock."""
    closed = []
    for row in (await tx.execute(SILENT, {"patience": patience})).all():
        # What some connection holds the lock of is a lease still.
        high, low = (int.from_bytes(row.session_id.bytes[at : at + 4]) for at in (0, 4))
        if not (await tx.execute(HOLDS, {"high": high, "low": low})).scalar_one():
            mine = (dispatcher.c.id == row.id) & dispatcher.c.ended_at.is_(None)
            end = update(dispatcher).where(mine)
            await tx.execute(end.values(ended_at=func.now(), ended_why="silent"))
            closed.append(row.id)
    return closed


async def dead_runs(
    tx: AsyncConnection, patience: timedelta, *, within: timedelta
) -> dict[UUID, str]:
    """The Prefect runs of dispatchers that ended some time ago, but `within` the last while.

    Why each ended, by the run's id, newest first.
    """
    rows = await tx.execute(DEAD_RUNS, {"patience": patience, "within": within})
    return {row.flow_run_id: row.ended_why or "silent" for row in rows}


async def known_runs(tx: AsyncConnection, flow_run_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these Prefect runs have, or had, a dispatcher."""
    mine = select(dispatcher.c.flow_run_id).where(any_of(dispatcher.c.flow_run_id, flow_run_ids))
    return set((await tx.execute(mine)).scalars())


async def abandoned(tx: AsyncConnection) -> list[UUID]:
    """Sessions with a lease that ran out, and for which nobody was asked for since then.

    That one is asked for once: a lease whose lock is still held is reconcile's to watch.
    """
    over = (dispatcher.c.ended_at.is_(None), dispatcher.c.alive_until < func.clock_timestamp())
    asked = session.c.wake_requested_at
    statement = (
        select(session.c.id)
        .join(dispatcher, dispatcher.c.session_id == session.c.id)
        .where(*over, asked.is_(None) | (asked < dispatcher.c.alive_until))
        .distinct()
    )
    return list((await tx.execute(statement)).scalars())
