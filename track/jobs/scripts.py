"""Scripts of the sites' own, which submit for themselves: the job ids they reported, and when.

Ids in a script's output are kept with its batch, those in its calls with its attempt:
whichever of them runs may be at work on the asset.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.pipeline.model import Resources
from track.schema.tables import asset, attempt, job, pipeline, stage

_SUBMITTED = re.compile(r"\bSubmitted batch job (\d+)")
_IDS = re.compile(r"\d+(,\d+)*")


def submitted_ids(output: str) -> list[str]:
    """The job ids in a script's output, as `sbatch` writes them."""
    return list(dict.fromkeys(_SUBMITTED.findall(output)))


def reported_ids(external_id: str | None) -> frozenset[str]:
    """The job ids kept with a script's batch; none when its script reported none."""
    ids = external_id or ""
    return frozenset(ids.split(",")) if _IDS.fullmatch(ids) else frozenset()


@dataclass(frozen=True)
class ScriptRun:
    """An open attempt whose script has ended and whose job has not reported its end.

    `native_ids` are all that were reported for it, the last of them at `reported_at`, in
    seconds since 1970 by the database's clock; `age_s` are the seconds since its start, or
    since it was queued; `expected_s` what its stage asks for.
    """

    attempt: int
    guid: str
    native_ids: tuple[str, ...]
    started: bool
    cancelled: bool
    age_s: float
    expected_s: int | None
    reported_at: float = math.inf


RUNS = text("""
    SELECT t.id, j.asset_guid, b.external_id AS reported, t.external_id, t.started_by,
           t.cancel_requested_at IS NOT NULL AS cancelled, s.resources,
           extract(epoch FROM now() - coalesce(t.started_at, t.queued_at)) AS age_s,
           extract(epoch FROM greatest(t.submitted_at, t.started_at, b.submitted_at)) AS reported_at
    FROM track.batch b
    JOIN track.stage s ON s.id = b.stage_id AND s.kind = 'script'
    JOIN track.attempt t ON t.batch_id = b.id AND t.closed_at IS NULL
    JOIN track.job j ON j.id = t.job_id AND j.attempt_id = t.id
    WHERE b.site = :site AND b.ended_at IS NULL AND b.state = 'submitted'
    ORDER BY t.id
""")


async def open_runs(tx: AsyncConnection, site: str) -> list[ScriptRun]:
    """The scripts of a site whose jobs have yet to report their end."""
    return [_run(row) for row in await tx.execute(RUNS, {"site": site})]


def _run(row: Any) -> ScriptRun:
    ids = {row.external_id, row.started_by, *reported_ids(row.reported)}
    return ScriptRun(
        attempt=row.id,
        guid=row.asset_guid,
        native_ids=tuple(sorted(each for each in ids if each)),
        started=row.started_by is not None,
        cancelled=row.cancelled,
        age_s=float(row.age_s),
        expected_s=Resources.model_validate(row.resources).time_s,
        reported_at=math.inf if row.reported_at is None else float(row.reported_at),
    )


async def script_values(tx: AsyncConnection, attempt_id: int) -> tuple[dict[str, str], Resources]:
    """The values for the placeholders of an attempt's script, and its stage's resources."""
    statement = (
        select(
            asset.c.guid,
            asset.c.batch_name.label("batch"),
            func.coalesce(asset.c.parent_guid, "").label("parent_guid"),
            pipeline.c.name.label("pipeline"),
            stage.c.key.label("stage"),
            stage.c.resources,
        )
        .join(job, job.c.asset_guid == asset.c.guid)
        .join(attempt, attempt.c.job_id == job.c.id)
        .join(stage, stage.c.id == job.c.stage_id)
        .join(pipeline, pipeline.c.id == asset.c.pipeline_id)
        .where(attempt.c.id == attempt_id)
    )
    values = dict((await tx.execute(statement)).one()._mapping)
    resources = Resources.model_validate(values.pop("resources"))
    return values, resources
