"""Pipelines in the database: loading a definition, also while its work is in flight.

Stages are matched by key. A new stage back-fills every asset the pipeline has, a
removed one is archived and its unfinished jobs left out; edges are written anew, so
a changed `needs` is a changed edge. Resolve then brings every touched job in line.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.pipeline import Need, Pipeline, Stage
from track.history import record
from track.jobs import release_if_over, reopen
from track.resolve import downstream, hold_edges, resolve
from track.states import ENDED, State
from track.tables import asset, edge, job, pipeline, stage
from track.throttles import RESERVED
from track.wake import wake

UNREADABLE = RESERVED
"""The pipeline of assets whose metadata cannot be read: they only have an ingest to fail."""


def unreadable_pipeline() -> Pipeline:
    """The built-in pipeline of an asset that names none we know."""
    return Pipeline.model_validate(
        {"pipeline": UNREADABLE, "stages": [{"key": "ingest", "run": "refinery.ingest"}]}
    )


async def load_pipelines(
    tx: AsyncConnection, definitions: Iterable[Pipeline], *, actor: str
) -> list[str]:
    """Make the database's pipelines what these definitions say; the names that changed.

    The pipeline of unreadable assets is always among them. All in one transaction: an edge
    may lead into another pipeline of the same load.
    """
    await hold_edges(tx, to_edit=True)
    known = {row.name: row for row in await tx.execute(select(pipeline))}
    changed = [
        new
        for new in (unreadable_pipeline(), *definitions)
        if new.name not in known or known[new.name].definition_hash != new.definition_hash
    ]
    for new in changed:
        await _write_stages(tx, new, await _write_pipeline(tx, new))
        old = known[new.name].definition_hash if new.name in known else None
        await record(
            tx,
            actor=actor,
            what="pipeline.definition",
            old=old,
            new=new.definition_hash,
            why=new.name,
        )
    for new in changed:
        await _write_edges(tx, new)
    await _back_fill(tx, [new.name for new in changed])
    await release_if_over(tx)  # the stage that was left may be the one taken out
    return [new.name for new in changed]


async def _write_pipeline(tx: AsyncConnection, new: Pipeline) -> int:
    row = {
        "name": new.name,
        "definition": new.definition(),
        "definition_hash": new.definition_hash,
        "throttle": new.throttle.model_dump(mode="json"),
        "exclude": [rule.model_dump(mode="json", by_alias=True) for rule in new.exclude],
    }
    insertion = upsert(pipeline).values(row | {"active": new.active})
    statement = insertion.on_conflict_do_update(
        index_elements=[pipeline.c.name], set_=row | {"updated_at": func.now()}
    )
    return int((await tx.execute(statement.returning(pipeline.c.id))).scalar_one())


def _stage_row(new: Stage, position: int) -> dict[str, Any]:
    return {
        "kind": new.run.kind,
        "run": new.run.name,
        "position": position,
        "params": new.params,
        "resources": new.resources.model_dump(mode="json", by_alias=True, exclude_none=True),
        "writes": list(new.writes),
        "sites": None if new.on is None else list(new.on),
        "emits": new.emits,
        "covers": list(new.covers),
        "retries": new.retries,
    }


async def _write_stages(tx: AsyncConnection, new: Pipeline, pipeline_id: int) -> None:
    live = stage.c.archived_at.is_(None) & (stage.c.pipeline_id == pipeline_id)
    rows = await tx.execute(select(stage.c.key, stage.c.id).where(live))
    known: dict[str, int] = {row.key: row.id for row in rows}
    for each in new.stages:
        row = _stage_row(each, new.positions[each.key])
        if each.key in known:
            await tx.execute(update(stage).where(stage.c.id == known[each.key]).values(row))
        else:
            fresh = {"pipeline_id": pipeline_id, "key": each.key, "active": each.active}
            await tx.execute(insert(stage).values(row | fresh))
    gone = [known[key] for key in known.keys() - {each.key for each in new.stages}]
    await _archive(tx, gone)


async def _archive(tx: AsyncConnection, stages: list[int]) -> None:
    """Take stages out: nothing waits for them; what they had not begun, resolve leaves out."""
    if not stages:
        return
    await tx.execute(update(stage).where(stage.c.id.in_(stages)).values(archived_at=func.now()))
    touching = edge.c.stage_id.in_(stages) | edge.c.upstream_id.in_(stages)
    await tx.execute(delete(edge).where(touching))


async def _write_edges(tx: AsyncConnection, new: Pipeline) -> None:
    own = await _live_stages(tx, new.name)
    emitted = await _live_stages(tx, new.emits) if new.emits else {}
    await tx.execute(delete(edge).where(edge.c.stage_id.in_(own.values())))
    rows = [
        _edge_row(own[each.key], need, emitted if need.of.kind == "children" else own)
        for each in new.stages
        for need in each.needs
        if need.of.kind != "parent"
    ]
    rows += [
        _edge_row(own[each.key], need, await _emitters(tx, new.name))
        for each in new.stages
        for need in each.needs
        if need.of.kind == "parent"
    ]
    if rows:
        await tx.execute(insert(edge), rows)


def _edge_row(stage_id: int, need: Need, upstreams: dict[str, int]) -> dict[str, Any]:
    return {
        "stage_id": stage_id,
        "upstream_id": upstreams[need.stage],
        "selector": need.of.kind,
        "dx": need.of.dx,
        "dy": need.of.dy,
        "dz": need.of.dz,
        "accept": list(need.accept),
    }


async def _live_stages(tx: AsyncConnection, name: str | None) -> dict[str, int]:
    statement = (
        select(stage.c.key, stage.c.id)
        .join(pipeline, pipeline.c.id == stage.c.pipeline_id)
        .where(pipeline.c.name == name, stage.c.archived_at.is_(None))
    )
    return {row.key: row.id for row in await tx.execute(statement)}


async def _emitters(tx: AsyncConnection, name: str) -> dict[str, int]:
    """The stages of the pipelines whose stages emit assets of this one."""
    emitting = select(stage.c.pipeline_id).where(
        stage.c.emits == name, stage.c.archived_at.is_(None)
    )
    statement = select(stage.c.key, stage.c.id).where(
        stage.c.pipeline_id.in_(emitting), stage.c.archived_at.is_(None)
    )
    return {row.key: row.id for row in await tx.execute(statement)}


async def _back_fill(tx: AsyncConnection, names: list[str]) -> None:
    """Give every asset of these pipelines the jobs it lacks, and judge all that has not begun.

    All jobs are there before the first is judged: one that waits for a stage of another
    pipeline would else be told that there is none.
    """
    fresh: list[int] = []
    for name in names:
        rows = await tx.execute(CREATE_JOBS, {"pipeline": name, "guids": None})
        fresh += rows.scalars()
    open_ = (
        select(job.c.id)
        .join(stage, stage.c.id == job.c.stage_id)
        .join(pipeline, pipeline.c.id == stage.c.pipeline_id)
        .where(pipeline.c.name.in_(names))
        .where(job.c.state.in_([State.WAITING, State.READY, State.ABSENT]))
    )
    ids = list((await tx.execute(open_.order_by(job.c.id))).scalars())
    await wake(tx, await resolve(tx, [*ids, *await downstream(tx, fresh)]))
    await _open_again(tx, fresh)


async def _open_again(tx: AsyncConnection, fresh: list[int]) -> None:
    """Assets that were at their end and have something to do again are admitted anew."""
    to_do = select(job.c.id).join(asset, asset.c.guid == job.c.asset_guid)
    over = asset.c.finalised_at.is_not(None) | asset.c.released_at.is_not(None)
    left = job.c.state.not_in(sorted(ENDED))
    mine = to_do.where(job.c.id == func.any(fresh), over, left)
    await reopen(tx, list((await tx.execute(mine)).scalars()))


CREATE_JOBS = text("""
    INSERT INTO track.job (asset_guid, stage_id)
    SELECT a.guid, s.id
    FROM track.asset a
    JOIN track.pipeline p ON p.id = a.pipeline_id
    JOIN track.stage s ON s.pipeline_id = p.id AND s.archived_at IS NULL
    WHERE (CAST(:pipeline AS text) IS NULL OR p.name = :pipeline)
      AND (CAST(:guids AS text[]) IS NULL OR a.guid = ANY(:guids))
    ORDER BY a.guid, s.position
    ON CONFLICT (asset_guid, stage_id) DO NOTHING
    RETURNING id
""")


async def create_jobs(tx: AsyncConnection, guids: list[str]) -> list[int]:
    """Give these assets a job per stage of their pipelines; the ids of the new ones."""
    rows = await tx.execute(CREATE_JOBS, {"pipeline": None, "guids": guids})
    return list(rows.scalars())


async def pipeline_names(tx: AsyncConnection) -> set[str]:
    """The pipelines an asset may name."""
    rows = await tx.execute(select(pipeline.c.name).where(pipeline.c.name != UNREADABLE))
    return set(rows.scalars())
