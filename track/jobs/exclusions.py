"""Exclude rules: a stage's result may make later stages of the asset pointless.

Evaluated when the stage named by `after` is done, before edges are resolved, so
that a device target never has its derivatives made; and again before a job becomes
ready, since one may come back to waiting long after that stage was done.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.pipeline.load import Exclude
from track.jobs.moves import lock, move_all
from track.schema.arrays import any_of
from track.schema.states import State
from track.schema.tables import asset, document, job, pipeline, stage


async def exclude_after(tx: AsyncConnection, job_ids: Sequence[int], *, actor: str) -> list[int]:
    """Leave out what the rules of their assets' pipelines say after these done jobs; the ids."""
    # Most stages have no rule after them: their assets' documents are not read.
    ruled = func.jsonb_build_array(func.jsonb_build_object("after", stage.c.key))
    statement = (
        select(pipeline.c.id, pipeline.c.exclude, stage.c.key, asset.c.guid, document.c.body)
        .select_from(job)
        .join(asset, asset.c.guid == job.c.asset_guid)
        .join(pipeline, pipeline.c.id == asset.c.pipeline_id)
        .join(stage, (stage.c.id == job.c.stage_id) & (stage.c.pipeline_id == pipeline.c.id))
        .outerjoin(document, document.c.asset_guid == asset.c.guid)
        .where(any_of(job.c.id, job_ids), pipeline.c.exclude.op("@>")(ruled))
    )
    guids: dict[tuple[int, tuple[str, ...], str], list[str]] = {}
    for found in await tx.execute(statement):
        for rule in map(Exclude.model_validate, found.exclude):
            if rule.after == found.key and rule.when.holds(found.body or {}):
                left = (found.id, tuple(rule.stages), f"rule: {rule.when}")
                guids.setdefault(left, []).append(found.guid)
    left_out: list[int] = []
    for (pipeline_id, stages, why), mine in guids.items():
        own = (stage.c.pipeline_id == pipeline_id) & stage.c.archived_at.is_(None)
        left_out += await _exclude(tx, mine, own & stage.c.key.in_(stages), actor=actor, why=why)
    return left_out


async def left_out(tx: AsyncConnection, job_ids: Sequence[int]) -> dict[int, str]:
    """Which of these jobs a rule leaves out as things stand, and the rule in words."""
    others, their_stage = job.alias(), stage.alias()
    done = (
        select(func.array_agg(their_stage.c.key))
        .join(others, others.c.stage_id == their_stage.c.id)
        .where(others.c.asset_guid == job.c.asset_guid, others.c.state == State.DONE)
        .where(
            their_stage.c.pipeline_id == stage.c.pipeline_id, their_stage.c.archived_at.is_(None)
        )
        .scalar_subquery()
    )
    statement = (
        select(job.c.id, stage.c.key, pipeline.c.exclude, document.c.body, done.label("done"))
        .join(stage, stage.c.id == job.c.stage_id)
        .join(pipeline, pipeline.c.id == stage.c.pipeline_id)
        .outerjoin(document, document.c.asset_guid == job.c.asset_guid)
        .where(any_of(job.c.id, job_ids))
    )
    found: dict[int, str] = {}
    for row in await tx.execute(statement):
        for rule in map(Exclude.model_validate, row.exclude):
            due = row.key in rule.stages and rule.after in (row.done or ())
            if due and rule.when.holds(row.body or {}):
                found[row.id] = f"rule: {rule.when}"
    return found


async def _exclude(
    tx: AsyncConnection, guids: Sequence[str], named: ColumnElement[bool], *, actor: str, why: str
) -> list[int]:
    jobs = select(job.c.id).join(stage, stage.c.id == job.c.stage_id)
    ids = sorted((await tx.execute(jobs.where(any_of(job.c.asset_guid, guids), named))).scalars())
    await lock(tx, ids)
    moved: list[int] = []
    for state in (State.WAITING, State.READY):
        moved += await move_all(tx, ids, state, State.EXCLUDED, actor=actor, why=why)
    return moved
