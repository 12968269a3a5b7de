"""The end of an asset, noted with its last stage, and that of a job that can get no more.

Here and nowhere else an asset becomes final: a stage that has to be done again meanwhile
finishes too, and must leave none of this behind.
"""

from collections.abc import Collection

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.sites import kinds_that
from track.records.retention_rules import KEEP, REQUIRES
from track.schema.arrays import any_of
from track.schema.tables import asset, job, stage

REACHED_KINDS = kinds_that(lambda kind: kind.driven)

COPIES = text("""
    INSERT INTO track.retention (kind, asset_guid, location, due_at, requires)
    SELECT c.kind, a.guid, c.location,
           now() + make_interval(secs => coalesce(86400 * rule.keep_days,
                                 CAST(CAST(:keep_s AS jsonb) ->> c.kind AS double precision))),
           coalesce(rule.requires, CAST(:requires AS text[]))
    FROM track.asset a CROSS JOIN LATERAL (
        SELECT 'ndrive', a.source_path
        UNION SELECT 'store', a.local_path
        -- From the asset's few jobs on: without statistics all attempts there are would be read.
        UNION SELECT 'site', t.site
               FROM (SELECT j.id FROM track.job j WHERE j.asset_guid = a.guid OFFSET 0) mine
               CROSS JOIN LATERAL (
                   SELECT p.site FROM track.attempt p WHERE p.job_id = mine.id OFFSET 0) t
               JOIN track.site k ON k.name = t.site AND k.kind = ANY(:reached)
    ) c(kind, location)
    LEFT JOIN LATERAL (
        SELECT r.keep_days, r.requires FROM track.retention_rule r
        WHERE r.kind = c.kind AND (r.pipeline_id = a.pipeline_id OR r.pipeline_id IS NULL)
        ORDER BY r.pipeline_id NULLS LAST LIMIT 1
    ) rule ON true
    WHERE a.guid = ANY(:guids) AND c.location IS NOT NULL
    ORDER BY a.guid, c.kind, c.location
    ON CONFLICT (kind, asset_guid, location)
    DO UPDATE SET due_at = excluded.due_at, requires = excluded.requires,
                  done_at = NULL, outcome = NULL
""").bindparams(bindparam("keep_s", type_=JSONB))
"""Of one made again after it was pruned, too. Prune looks for the copies that must exist before
it deletes any. At a site that nobody of us reaches only a stage's own `clean` can."""


async def note_ends(tx: AsyncConnection, guids: Collection[str]) -> None:
    """Note that assets are final, and enter the copies they no longer need into the due table."""
    if not guids:
        return
    final = func.coalesce(asset.c.finalised_at, func.now())
    mine = update(asset).where(any_of(asset.c.guid, guids))
    # What it left this time is due to leave in its turn: see track/records/leaving.py.
    await tx.execute(mine.values(finalised_at=final, reopened_at=None, records_left_at=None))
    keep_s = {kind: kept.total_seconds() for kind, kept in KEEP.items()}
    given = {"guids": [*guids], "keep_s": keep_s, "requires": [*REQUIRES]}
    await tx.execute(COPIES, {**given, "reached": REACHED_KINDS})


# 138: ended by SIGUSR1, the scheduler's warning shortly before the time limit.
REACHED = text("""
    SELECT b.resources -> 'bounded' ->>
           CASE WHEN t.exit_code = 138 THEN 'timeout' ELSE t.outcome END
    FROM track.job j
    JOIN track.attempt t ON t.id = j.attempt_id
    JOIN track.batch b ON b.id = t.batch_id
    WHERE j.id = :job
""")


async def with_bounds(tx: AsyncConnection, job_id: int, why: str) -> str:
    """Why a job's last attempt failed and, where it could ask for no more of what ran out,
    whose limit that is."""
    reached = (await tx.execute(REACHED, {"job": job_id})).scalar_one_or_none()
    if reached is None:
        return why
    return f"{why}; it needs more than it can get there: {reached}"


async def is_final(tx: AsyncConnection, guid: str) -> bool:
    """Whether the end of an asset is noted."""
    noted = select(asset.c.finalised_at).where(asset.c.guid == guid)
    return (await tx.execute(noted)).scalar_one() is not None


async def to_be_locked(tx: AsyncConnection, job_id: int) -> bool:
    """Whether a job's stage asks for its asset to be locked in the archive at its end."""
    of_job = select(stage.c.params).join(job, job.c.stage_id == stage.c.id)
    params = (await tx.execute(of_job.where(job.c.id == job_id))).scalar_one()
    return bool(params.get("lock"))
