"""What a verb would meet if it were run now: for the sentence that somebody confirms.

Only what stopped is counted, by the index job_stopped; one job is found by its asset and stage.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

COUNT = text("""
    SELECT count(*) AS jobs, count(DISTINCT j.asset_guid) AS assets
    FROM track.job j
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.stage s ON s.id = j.stage_id AND s.archived_at IS NULL
     AND s.pipeline_id = a.pipeline_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    WHERE j.state IN ('failed', 'cancelled') AND (j.state = 'failed' OR :cancelled)
      AND (CAST(:guid AS text) IS NULL OR j.asset_guid = :guid)
      AND (CAST(:stage AS text) IS NULL OR s.key = :stage)
      AND (CAST(:session AS uuid) IS NULL OR j.session_id = :session)
      AND (CAST(:pipeline AS text) IS NULL OR p.name = :pipeline)
""")

JOB = text("""
    SELECT j.state
    FROM track.job j
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.stage s ON s.id = j.stage_id AND s.archived_at IS NULL
     AND s.pipeline_id = a.pipeline_id
    WHERE j.asset_guid = :guid AND s.key = :stage
""")


@dataclass(frozen=True)
class Selected:
    """How many jobs that stopped are meant, of how many assets.

    `state`: that of the one job which is named by asset and stage.
    """

    jobs: int
    assets: int
    state: str | None


async def selected(
    tx: AsyncConnection,
    *,
    guid: str | None = None,
    stage: str | None = None,
    session: UUID | None = None,
    pipeline: str | None = None,
    cancelled: bool = False,
) -> Selected:
    """What of a selection failed, or with `cancelled` also was cancelled."""
    given = {"guid": guid, "stage": stage, "session": session, "pipeline": pipeline}
    counted = (await tx.execute(COUNT, given | {"cancelled": cancelled})).one()
    state = None
    if guid is not None and stage is not None:
        state = (await tx.execute(JOB, {"guid": guid, "stage": stage})).scalar_one_or_none()
    return Selected(counted.jobs, counted.assets, state)
