"""One session as people look at it: its head, where its specimens stand, when it will be done.

Pages of specimens are ranges of the index asset_session, those that need a person of
asset_person and job_stopped_session. Only `session_stages` reads all of a session's jobs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import QuarantineEntry
from track.reports.sessions import HELD, KNOWN_OF, STATE, STOPPED
from track.schema.states import ENDED, State

PAGE = 60
MOST = 200
"""Quarantined files that one page lists."""

HEAD = text(f"""
    SELECT s.id, s.path, s.opened_as, s.workstation, s.opened_at, s.registered_at, s.finished_at,
           s.known, s.wake_at, {STATE} AS state, k.collection, k.digitiser,
           d.flow_run_id, d.alive_until > now() AND d.ended_at IS NULL AS is_held
    FROM track.session s
    LEFT JOIN LATERAL ({KNOWN_OF}) k ON true
    LEFT JOIN LATERAL (
        SELECT flow_run_id, alive_until, ended_at FROM track.dispatcher
        WHERE session_id = s.id ORDER BY started_at DESC LIMIT 1
    ) d ON true
    WHERE s.id = :session
""")

# A job that waits for one that stopped is left out of what is to come: a person decides.
# OFFSET 0 keeps it to each asset's own jobs: joined as a whole, all jobs there ever were are read.
STAGES = text(f"""
    SELECT p.name AS pipeline, s.key AS stage, jsonb_object_agg(c.state, c.jobs) AS states,
           CAST(sum(c.ended) AS bigint) AS ended, min(c.ended_from) AS ended_from,
           CAST(sum(c.stuck) AS bigint) AS stuck, now() AS at
    FROM (
        SELECT j.stage_id, j.state, count(*) AS jobs,
               count(*) FILTER (WHERE j.state IN ('done', 'excluded')
                                  AND j.updated_at > now() - interval '1 hour') AS ended,
               min(j.updated_at) FILTER (WHERE j.state IN ('done', 'excluded')
                   AND j.updated_at > now() - interval '1 hour') AS ended_from,
               count(*) FILTER (WHERE j.state IN ('waiting', 'ready') AND a.stuck) AS stuck
        FROM (
            SELECT a.guid, {HELD} OR a.guid = ANY(ARRAY(
                SELECT j.asset_guid FROM track.job j WHERE j.session_id = :session AND {STOPPED}
            )) AS stuck
            FROM track.asset a WHERE a.session_id = :session
        ) a
        CROSS JOIN LATERAL (
            SELECT stage_id, state, updated_at FROM track.job WHERE asset_guid = a.guid OFFSET 0
        ) j
        GROUP BY j.stage_id, j.state
    ) c
    JOIN track.stage s ON s.id = c.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    GROUP BY p.name, s.key, s.position, s.id
    ORDER BY p.name, s.position, s.id
""")

TOTALS = text("""
    SELECT count(*) AS assets, count(*) FILTER (WHERE parent_guid IS NULL) AS specimens,
           count(finalised_at) AS finalised, count(quarantine) AS quarantined
    FROM track.asset WHERE session_id = :session
""")

# What stopped comes before what moves: it is what people look for.
FRONT = """
    SELECT s.key, j.state, j.reason FROM track.job j JOIN track.stage s ON s.id = j.stage_id
    WHERE j.asset_guid = a.guid AND j.state NOT IN ('done', 'excluded', 'absent')
    ORDER BY j.state NOT IN ('failed', 'cancelled'), s.position, s.id LIMIT 1
"""
TILE = f"""
    SELECT a.guid, a.file_name, a.parent_guid, a.subject, a.quarantine, a.attention,
           a.finalised_at, p.name AS pipeline, f.key AS stage, f.state, f.reason
    FROM <which> AS a
    JOIN track.pipeline p ON p.id = a.pipeline_id
    LEFT JOIN LATERAL ({FRONT}) f ON true
    ORDER BY a.guid
"""
TILES = text(
    TILE.replace(
        "<which>",
        """(SELECT * FROM track.asset WHERE session_id = :session AND guid > :after
             ORDER BY guid LIMIT CAST(:most AS bigint))""",
    )
)
TILES_WITH_PERSON = text(
    TILE.replace(
        "<which>",
        f"""(SELECT * FROM track.asset WHERE guid IN (
               (SELECT a.guid FROM track.asset a
                 WHERE a.session_id = :session AND a.guid > :after AND {HELD}
                 ORDER BY a.guid LIMIT CAST(:most AS bigint))
               UNION
               (SELECT DISTINCT j.asset_guid FROM track.job j
                 WHERE j.session_id = :session AND j.asset_guid > :after AND {STOPPED}
                 ORDER BY j.asset_guid LIMIT CAST(:most AS bigint)))
             ORDER BY guid LIMIT CAST(:most AS bigint))""",
    )
)

QUARANTINED = text(f"""
    SELECT a.guid, a.file_name, a.quarantine
    FROM track.asset a
    WHERE a.session_id = :session AND {HELD} AND a.quarantine IS NOT NULL
    ORDER BY a.guid LIMIT :most
""")


@dataclass(frozen=True)
class SessionHead:
    """What is known of a session as a whole.

    `known`: files whose specimen was taken in from elsewhere. `flow_run_id`: the run in Prefect of
    the dispatcher that is, or was last, at it; `is_held`: whether it is at it now.
    """

    id: UUID
    path: str
    opened_as: str
    workstation: str
    opened_at: datetime
    registered_at: datetime | None
    finished_at: datetime | None
    wake_at: datetime | None
    state: str
    collection: str | None
    digitiser: str | None
    known: Sequence[QuarantineEntry]
    flow_run_id: UUID | None
    is_held: bool

    @property
    def folder(self) -> str:
        """Its folder's name as it was dropped, which is how people know it."""
        return self.opened_as.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class SessionStage:
    """Jobs of one stage, as they were `at` that moment: how many in each state, and how many wait
    for something that a person decides (`stuck`). Of the last hour: how many ended, and when the
    first of those did."""

    pipeline: str
    stage: str
    states: Mapping[str, int]
    ended: int
    ended_from: datetime | None
    stuck: int
    at: datetime

    @property
    def to_come(self) -> int:
        """How many will be done without a person."""
        open_ = sum(n for state, n in self.states.items() if State(state) not in ENDED)
        return max(open_ - self.stuck, 0)


@dataclass(frozen=True)
class SessionTotals:
    """How many assets a session has (specimens and derivatives), and what became of them."""

    assets: int
    specimens: int
    finalised: int
    quarantined: int


@dataclass(frozen=True)
class Tile:
    """One asset: `state` is quarantined, attention, failed, cancelled, finalised or that of the
    first job of it that is not over (`stage`); done where all are."""

    guid: str
    file_name: str
    parent_guid: str | None
    pipeline: str
    subject: str
    state: str
    stage: str
    reason: str
    finalised_at: datetime | None


@dataclass(frozen=True)
class QuarantinedFile:
    """A specimen that could not be taken in, and why."""

    guid: str
    file_name: str
    entry: QuarantineEntry


async def session_head(tx: AsyncConnection, session_id: UUID) -> SessionHead | None:
    """A session's head; None: there is no such session."""
    row = (await tx.execute(HEAD, {"session": session_id})).mappings().one_or_none()
    if row is None:
        return None
    known = [QuarantineEntry(**each) for each in row["known"]]
    return SessionHead(**(dict(row) | {"known": known, "is_held": bool(row["is_held"])}))


async def session_stages(tx: AsyncConnection, session_id: UUID) -> Sequence[SessionStage]:
    """A session's jobs by stage, in the stages' order: reads all of them."""
    rows = await tx.execute(STAGES, {"session": session_id})
    return [SessionStage(**row._mapping) for row in rows]


async def session_totals(tx: AsyncConnection, session_id: UUID) -> SessionTotals:
    """A session's assets, counted."""
    row = (await tx.execute(TOTALS, {"session": session_id})).one()
    return SessionTotals(**row._mapping)


async def session_tiles(
    tx: AsyncConnection,
    session_id: UUID,
    *,
    after: str = "",
    most: int = PAGE,
    with_person: bool = False,
) -> Sequence[Tile]:
    """A page of a session's assets by guid, behind `after`; or of those that need a person."""
    given = {"session": session_id, "after": after, "most": most}
    rows = await tx.execute(TILES_WITH_PERSON if with_person else TILES, given)
    return [_tile(row) for row in rows]


def _tile(row: Any) -> Tile:
    reason = row.reason or ""
    if row.quarantine is not None:
        state, reason = "quarantined", str(QuarantineEntry(**row.quarantine))
    elif row.state in ("failed", "cancelled"):
        state = row.state
    elif row.attention is not None:
        state, reason = "attention", row.attention
    elif row.state is None:
        state = "done" if row.finalised_at is None else "finalised"
    else:
        state = row.state
    return Tile(
        row.guid,
        row.file_name,
        row.parent_guid,
        row.pipeline,
        row.subject,
        state,
        stage="" if state in ("quarantined", "finalised") else row.stage or "",
        reason=reason,
        finalised_at=row.finalised_at,
    )


async def quarantined_files(
    tx: AsyncConnection, session_id: UUID, most: int = MOST
) -> Sequence[QuarantinedFile]:
    """What of a session could not be taken in, `most` at most."""
    rows = await tx.execute(QUARANTINED, {"session": session_id, "most": most})
    return [
        QuarantinedFile(row.guid, row.file_name, QuarantineEntry(**row.quarantine)) for row in rows
    ]
