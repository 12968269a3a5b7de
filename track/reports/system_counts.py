"""The whole system in a few numbers, for Prometheus: sessions, people, archive, copies, alarms.

Every number is read from what moves or waits now, through an index that holds nothing else, so
that it costs the same after a million specimens as after a thousand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.sites import kinds_that
from track.reports.alarms import ON, RAISED, UNCONNECTED, WORKER, services_heard
from track.reports.overdue import IS_OVERDUE, JOB_AND_ATTEMPT
from track.schema.arrays import array_of

# The conditions are those of session_new, session_asked, session_parked and dispatcher_live.
SESSIONS = text("""
    SELECT 'unregistered' AS state, count(*) AS sessions
    FROM track.session WHERE registered_at IS NULL
    UNION ALL
    SELECT 'waiting_for_a_dispatcher', count(*)
    FROM track.session WHERE wake_requested_at IS NOT NULL
    UNION ALL
    SELECT 'parked', count(*)
    FROM track.session WHERE parked_at IS NOT NULL AND finished_at IS NULL
    UNION ALL
    SELECT 'at_work', count(DISTINCT session_id) FROM track.dispatcher WHERE ended_at IS NULL
""")

# What stopped is the index job_stopped; what is held is on its way, in asset_in_flight.
NEEDS_PERSON = text("""
    WITH stopped AS (
        SELECT j.state, j.asset_guid, a.quarantine IS NOT NULL AS quarantined
        FROM track.job j
        -- One by one, by its key: joined as a whole, all assets there ever were are read.
        CROSS JOIN LATERAL (
            SELECT quarantine FROM track.asset WHERE guid = j.asset_guid LIMIT 1
        ) a
        WHERE j.state IN ('failed', 'cancelled')
    )
    SELECT 'failed' AS kind, count(DISTINCT asset_guid) AS assets
    FROM stopped WHERE state = 'failed' AND NOT quarantined
    UNION ALL
    SELECT 'cancelled', count(DISTINCT asset_guid)
    FROM stopped WHERE state = 'cancelled' AND NOT quarantined
    UNION ALL
    SELECT 'quarantined', count(DISTINCT asset_guid) FROM stopped WHERE quarantined
    UNION ALL
    SELECT 'attention', count(*) FROM track.asset
    WHERE admitted_at IS NOT NULL AND released_at IS NULL AND attention IS NOT NULL
""")

OVERDUE_JOBS = text(f"""
    SELECT t.site, count(*) AS jobs
    {JOB_AND_ATTEMPT}
    WHERE {IS_OVERDUE}
    GROUP BY t.site
""")

UNARCHIVED_STATES = (
    "waiting", "ready", "claimed", "queued", "running", "returned", "failed", "cancelled",
)  # fmt: skip
_OLDEST = " UNION ALL ".join(
    f"""(SELECT j.asset_guid FROM track.job j
          WHERE j.state = '{state}' AND j.state NOT IN ('done', 'excluded')
            AND j.stage_id IN (SELECT id FROM proves)
          ORDER BY j.updated_at LIMIT 1)"""
    for state in UNARCHIVED_STATES
)
# In each state the one that has stood there longest: one end of a range of the index job_open.
OLDEST_UNARCHIVED = text(f"""
    WITH proves AS MATERIALIZED (
        SELECT id FROM track.stage WHERE run = 'synchronise' AND kind = 'builtin'
    ), oldest AS ({_OLDEST})
    SELECT CAST(coalesce(extract(epoch FROM now() - min(a.created_at)), 0) AS float) AS seconds
    FROM oldest JOIN track.asset a ON a.guid = oldest.asset_guid
""")

SITES = text(f"""
    SELECT name AS site, kind, open, degraded IS NOT NULL AS degraded,
           CASE WHEN kind = ANY({array_of(kinds_that(lambda kind: kind.driven))}) THEN
               CAST(extract(epoch FROM clock_timestamp() - greatest(seen_at, expected_at)) AS float)
           END AS driver_silent_s
    FROM track.site ORDER BY rank
""")

# The condition is that of the index retention_due.
PRUNE_DUE = text("""
    SELECT kind, count(*) AS copies,
           CAST(extract(epoch FROM now() - min(due_at)) AS float) AS oldest_s
    FROM track.retention WHERE done_at IS NULL AND due_at <= now() GROUP BY kind
""")

DATABASE_BYTES = text("SELECT pg_database_size(current_database())")


@dataclass(frozen=True)
class SystemCounts:
    """Numbers of one moment.

    Attributes:
        sessions: how many are in which state.
        needs_person: assets that go no further until a person has decided, by kind.
        overdue: jobs that their sites have had for too long, by site.
        unarchived_s: age of the oldest asset whose copies in the archive are not proven; 0: none.
        sites: each site: open, degraded, and since when its driver is silent.
        prune_due: copies whose time is up, by kind, and for how long at most.
        alarms: what was said last of each alarm, by kind and name: whether it is on.
        services: seconds since each service asked something; None: it has no connection.
        database_bytes: what the database takes on its disk.
    """

    sessions: Mapping[str, int]
    needs_person: Mapping[str, int]
    overdue: Mapping[str, int]
    unarchived_s: float
    sites: Sequence[Row[Any]]
    prune_due: Sequence[Row[Any]]
    alarms: Mapping[tuple[str, str], bool]
    services: Mapping[str, float | None]
    database_bytes: int


async def system_counts(tx: AsyncConnection) -> SystemCounts:
    """Count all of it now."""
    alarms = await _alarms(tx)
    sessions = await tx.execute(SESSIONS)
    persons = await tx.execute(NEEDS_PERSON)
    overdue = await tx.execute(OVERDUE_JOBS)
    return SystemCounts(
        sessions={row.state: row.sessions for row in sessions},
        needs_person={row.kind: row.assets for row in persons},
        overdue={row.site: row.jobs for row in overdue},
        unarchived_s=float((await tx.execute(OLDEST_UNARCHIVED)).scalar_one()),
        sites=(await tx.execute(SITES)).all(),
        prune_due=(await tx.execute(PRUNE_DUE)).all(),
        alarms=alarms,
        services=await _services(tx, alarms),
        database_bytes=int((await tx.execute(DATABASE_BYTES)).scalar_one()),
    )


async def _alarms(tx: AsyncConnection) -> dict[tuple[str, str], bool]:
    """Every subject of an alarm that was ever heard of, by kind and name, and whether it is on."""
    found = {}
    for row in await tx.execute(RAISED, {"prefix": "alarm."}):
        _, kind, name = row.what.split(".", 2)
        found[kind, name] = row.new == ON
    return found


async def _services(
    tx: AsyncConnection, alarms: Mapping[tuple[str, str], bool]
) -> dict[str, float | None]:
    """The services that are connected now, and those that once were; workers are Prefect's."""
    known = [
        name
        for kind, name in alarms
        if kind == "service" and not name.startswith(WORKER) and name not in UNCONNECTED
    ]
    silent: dict[str, float | None] = dict.fromkeys(known)
    return silent | {each.name: max(0.0, each.silent_s) for each in await services_heard(tx)}
