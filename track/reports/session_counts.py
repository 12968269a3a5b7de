"""A session in numbers, and what of it needs a person: for one too large to list.

Every statement reads the session's own assets or their jobs, without their documents, attempts
and edges, and none asks for a reason that has to be worked out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import sentence

MORE_THAN = text("""
    SELECT count(*) > CAST(:number AS bigint)
    FROM (SELECT FROM track.asset WHERE session_id = :session LIMIT CAST(:number AS bigint) + 1) few
""")

ASSETS = text("""
    SELECT p.name AS pipeline, count(*) AS assets, count(a.finalised_at) AS finalised,
           count(a.quarantine) AS quarantined
    FROM track.asset a JOIN track.pipeline p ON p.id = a.pipeline_id
    WHERE a.session_id = :session
    GROUP BY p.name ORDER BY p.name
""")

# OFFSET 0 keeps it to each asset's own jobs: joined as a whole, all jobs there ever were are read.
JOBS = text("""
    SELECT p.name AS pipeline, s.key AS stage, jsonb_object_agg(c.state, c.jobs) AS states
    FROM (
        SELECT j.stage_id, j.state, count(*) AS jobs
        FROM track.asset a
        CROSS JOIN LATERAL (
            SELECT stage_id, state FROM track.job WHERE asset_guid = a.guid OFFSET 0
        ) j
        WHERE a.session_id = :session
        GROUP BY j.stage_id, j.state
    ) c
    JOIN track.stage s ON s.id = c.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    GROUP BY p.name, s.key, s.position, s.id
    ORDER BY p.name, s.position, s.id
""")

# What stopped anywhere is an index of its own, which grows with what people leave undecided.
WITH_A_PERSON = text("""
    WITH stopped AS MATERIALIZED (
        SELECT DISTINCT ON (j.asset_guid) j.asset_guid, s.key AS stage, j.state, j.reason
        FROM track.job j
        JOIN track.asset a ON a.guid = j.asset_guid
        JOIN track.stage s ON s.id = j.stage_id
        WHERE j.state IN ('failed', 'cancelled') AND a.session_id = :session
        ORDER BY j.asset_guid, s.position, s.id
    )
    SELECT a.guid, a.file_name, a.quarantine, a.attention, f.stage, f.state, f.reason,
           count(*) OVER () AS in_all
    FROM track.asset a LEFT JOIN stopped f ON f.asset_guid = a.guid
    WHERE a.session_id = :session
      AND (a.quarantine IS NOT NULL OR a.attention IS NOT NULL OR f.stage IS NOT NULL)
    ORDER BY coalesce(a.parent_guid, a.guid), a.parent_guid NULLS FIRST, a.guid
    LIMIT :most
""")


@dataclass(frozen=True)
class PipelineCounts:
    """How many assets of a pipeline a session has, and how many of them came to an end."""

    pipeline: str
    assets: int
    finalised: int
    quarantined: int


@dataclass(frozen=True)
class StageCounts:
    """How many jobs of a stage a session has in each state; states without any are left out."""

    pipeline: str
    stage: str
    states: Mapping[str, int]


@dataclass(frozen=True)
class WithPerson:
    """An asset that goes no further until a person has decided.

    `state` is quarantined, failed, cancelled or attention; `stage` the first that stopped.
    """

    guid: str
    file_name: str
    state: str
    stage: str
    reason: str


@dataclass(frozen=True)
class SessionCounts:
    """A session in numbers; `with_person` are the first of those `in_all` that need one."""

    pipelines: Sequence[PipelineCounts]
    stages: Sequence[StageCounts]
    with_person: Sequence[WithPerson]
    in_all: int


async def has_more_assets(tx: AsyncConnection, session_id: UUID, number: int) -> bool:
    """Whether a session has more than so many assets; reads no more than it takes to know."""
    given = {"session": session_id, "number": number}
    return bool((await tx.execute(MORE_THAN, given)).scalar_one())


async def session_counts(tx: AsyncConnection, session_id: UUID, most: int) -> SessionCounts:
    """A session's assets and jobs, counted, and `most` at most of those that need a person."""
    given = {"session": session_id}
    pipelines = [PipelineCounts(**row._mapping) for row in await tx.execute(ASSETS, given)]
    stages = [StageCounts(**row._mapping) for row in await tx.execute(JOBS, given)]
    rows = (await tx.execute(WITH_A_PERSON, given | {"most": most})).all()
    listed = [
        WithPerson(
            row.guid,
            row.file_name,
            state="quarantined" if row.quarantine else row.state or "attention",
            stage=row.stage or "",
            reason=sentence(row.quarantine) or row.attention or row.reason or "",
        )
        for row in rows
    ]
    return SessionCounts(pipelines, stages, listed, rows[0].in_all if rows else 0)
