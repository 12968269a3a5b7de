"""Pipelines in the database: loading a definition, also while its work is in flight.

Stages are matched by key. A new stage is to be back-filled into every asset the pipeline
has, a removed one is archived; edges are written anew, so a changed `needs` is a changed
edge. What follows of it for jobs is `track.commands.back_fill`'s.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.pipeline.load import Need, Pipeline, Stage, check_sites, check_together
from track.jobs.edges import lock_edges
from track.jobs.room import RESERVED
from track.jobs.sites import read_sites
from track.records.outbox import announce_changed
from track.schema.arrays import any_of
from track.schema.history import record
from track.schema.tables import edge, pipeline, stage

UNREADABLE = RESERVED
"""The pipeline of assets whose metadata cannot be read: they only have an ingest to fail."""


async def edit_pipelines(
    tx: AsyncConnection, given: Sequence[Pipeline], *, actor: str
) -> list[str]:
    """Load these pipelines and announce those that changed; the others stay as they are.

    Raises PipelineError for what does not fit together with those, or with the sites there are.
    """
    await check_pipelines(tx, given)
    changed = await load_pipelines(tx, given, actor=actor)
    await announce_changed(tx, changed, by=actor)
    return changed


async def check_pipelines(tx: AsyncConnection, given: Sequence[Pipeline]) -> None:
    """Raise PipelineError for what does not fit together with the pipelines that stay, or with the
    sites there are."""
    rows = await tx.execute(select(pipeline.c.name, pipeline.c.definition))
    names = {each.name for each in given} | {UNREADABLE}
    kept = [Pipeline.model_validate(row.definition) for row in rows if row.name not in names]
    check_together([*given, *kept])
    sites = await read_sites(tx)
    bare = [site.name for site in sites if not site.runs_scripts]
    check_sites(given, [site.name for site in sites], bare)


async def load_pipelines(
    tx: AsyncConnection, definitions: Iterable[Pipeline], *, actor: str
) -> list[str]:
    """Make the database's pipelines what these definitions say; the names that changed.

    The pipeline of unreadable assets is always among them. All in one transaction: an edge
    may lead into another pipeline of the same load. It touches no job, however many there are:
    stages that gained a job or other edges are marked, and `back_fill` goes through them.
    """
    await lock_pipelines(tx)
    rows = await tx.execute(select(pipeline.c.name, pipeline.c.definition_hash))
    known: dict[str, str] = {row.name: row.definition_hash for row in rows}
    ingest = {"key": "ingest", "run": "refinery.ingest"}
    unreadable = Pipeline.model_validate({"pipeline": UNREADABLE, "stages": [ingest]})
    changed = [
        new for new in (unreadable, *definitions) if known.get(new.name) != new.definition_hash
    ]
    before = await _shapes(tx)
    for new in changed:
        await _write_stages(tx, new, await _write_pipeline(tx, new))
        hashes = {"old": known.get(new.name), "new": new.definition_hash}
        await record(tx, actor=actor, what="pipeline.definition", why=new.name, **hashes)
    for new in changed:
        await _write_edges(tx, new)
    await _mark(tx, before, await _shapes(tx))
    return [new.name for new in changed]


async def lock_pipelines(tx: AsyncConnection) -> None:
    """Lock all that an edit writes, then the edges: with these it has to wait for nobody."""
    for rows in (
        # The reserved one last, as claims do.
        select(pipeline.c.id).order_by(pipeline.c.name == RESERVED, pipeline.c.id),
        select(stage.c.id).order_by(stage.c.id),
    ):
        await tx.execute(rows.with_for_update(key_share=True))
    await lock_edges(tx, to_edit=True)


SHAPES = text("""
    SELECT s.id,
           (SELECT jsonb_agg(to_jsonb(e) - 'id' ORDER BY to_jsonb(e) - 'id')
              FROM track.edge e WHERE e.stage_id = s.id) AS edges,
           -- How many children are awaited is what these declare.
           (SELECT jsonb_agg(jsonb_build_array(m.id, m.emits) ORDER BY m.id)
              FROM track.stage m
             WHERE m.pipeline_id = s.pipeline_id AND m.archived_at IS NULL
               AND m.emits IS NOT NULL AND EXISTS (
                   SELECT 1 FROM track.edge e
                    WHERE e.stage_id = s.id AND e.selector = 'children')) AS emitters
    FROM track.stage s WHERE s.archived_at IS NULL
""")
"""What decides whether a job of each stage may run."""


async def _shapes(tx: AsyncConnection) -> dict[int, Any]:
    rows = await tx.execute(SHAPES)
    return {row.id: (row.edges, row.emitters) for row in rows}


MARK = text("""
    UPDATE track.stage s
    SET judged_to = '', filled_to = CASE WHEN s.id = ANY(:fresh) THEN '' ELSE s.filled_to END
    WHERE s.id = ANY(:concerned)
      AND EXISTS (SELECT 1 FROM track.asset a WHERE a.pipeline_id = s.pipeline_id)
""")


async def _mark(tx: AsyncConnection, before: dict[int, Any], after: dict[int, Any]) -> None:
    """Mark the stages whose jobs are to be made, or to be judged anew; none without assets."""
    gone, fresh = before.keys() - after.keys(), after.keys() - before.keys()
    changed = {each for each in after.keys() & before.keys() if before[each] != after[each]}
    given = {"concerned": sorted(gone | fresh | changed), "fresh": sorted(fresh)}
    await tx.execute(MARK, given)


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


def _stage_row(new: Stage, of: Pipeline) -> dict[str, Any]:
    wave = new.wave or of.wave
    return {
        "kind": new.run.kind,
        "run": new.run.name,
        "command": _command(new),
        "position": of.positions[new.key],
        "params": new.params,
        "resources": new.resources.model_dump(mode="json", by_alias=True, exclude_none=True),
        "writes": list(new.writes),
        "sites": None if new.on is None else list(new.on),
        "emits": new.emits,
        "covers": list(new.covers),
        "retries": new.retries,
        "wave": 0 if wave == "auto" else wave,
    }


def _command(of: Stage) -> dict[str, Any] | None:
    """What a stage that runs a command starts; kept with it, so that what is under way goes on
    when its pipeline has it no more."""
    if of.run.kind != "command":
        return None
    return {"words": of.command, "expect_exit": of.expect_exit, "inputs": of.inputs}


async def _write_stages(tx: AsyncConnection, new: Pipeline, pipeline_id: int) -> None:
    known = await _live_stages(tx, pipeline.c.id == pipeline_id)
    for each in new.stages:
        row = _stage_row(each, new)
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
    gone = {"archived_at": func.now(), "filled_to": None}
    await tx.execute(update(stage).where(stage.c.id.in_(stages)).values(gone))
    touching = edge.c.stage_id.in_(stages) | edge.c.upstream_id.in_(stages)
    await tx.execute(delete(edge).where(touching))


async def _write_edges(tx: AsyncConnection, new: Pipeline) -> None:
    own = await _live_stages(tx, pipeline.c.name == new.name)
    emitting = select(stage.c.pipeline_id).where(
        stage.c.emits == new.name, stage.c.archived_at.is_(None)
    )
    elsewhere = {
        "children": await _live_stages(tx, pipeline.c.name == new.emits),
        "parent": await _live_stages(tx, pipeline.c.id.in_(emitting)),
    }
    await tx.execute(delete(edge).where(edge.c.stage_id.in_(own.values())))
    rows = [
        _edge_row(own[each.key], need, elsewhere.get(need.of.kind, own))
        for each in new.stages
        for need in each.needs
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


async def _live_stages(tx: AsyncConnection, of: ColumnElement[bool]) -> dict[str, int]:
    """The ids of the stages that these pipelines have today, by key."""
    statement = (
        select(stage.c.key, stage.c.id)
        .join(pipeline, pipeline.c.id == stage.c.pipeline_id)
        .where(of, stage.c.archived_at.is_(None))
    )
    return {row.key: row.id for row in await tx.execute(statement)}


CREATE_JOBS = text("""
    WITH given AS (
        SELECT * FROM unnest(CAST(:guids AS text[]), CAST(:pipelines AS bigint[]),
                             CAST(:opened AS boolean[]), CAST(:others AS boolean[]))
                   AS a(guid, pipeline_id, opened, others)
    ), stages AS MATERIALIZED (
        SELECT s.id, s.pipeline_id, s.position, count(e.id) = 0 AS begins,
               coalesce(bool_or(e.selector IN ('parent', 'offset')), false) AS looks
        FROM track.stage s LEFT JOIN track.edge e ON e.stage_id = s.id
        WHERE s.archived_at IS NULL AND s.pipeline_id = ANY(:pipelines)
        GROUP BY s.id
    ), made AS (
        INSERT INTO track.job (asset_guid, stage_id, session_id, priority, state)
        SELECT a.guid, s.id, own.session_id, own.priority,
               CASE WHEN s.begins AND NOT a.opened THEN 'ready' ELSE 'waiting' END
        FROM given a JOIN stages s USING (pipeline_id) JOIN track.asset own ON own.guid = a.guid
        ORDER BY a.guid, s.position
        ON CONFLICT (asset_guid, stage_id) DO NOTHING
        RETURNING id, asset_guid, stage_id, state
    )
    SELECT m.id, a.opened OR s.looks AS unjudged, a.opened OR a.others AS concerns,
           m.state = 'ready' AS ready
    FROM made m JOIN given a ON a.guid = m.asset_guid JOIN stages s ON s.id = m.stage_id
    WHERE a.opened OR a.others OR s.looks OR m.state = 'ready'
    ORDER BY m.id
""")


@dataclass(frozen=True)
class NewJobs:
    """Jobs that were made; those of which there is nothing to be said but that they wait are in
    none of the lists.

    `ready` are ready already, `unjudged` are yet to be judged by their edges, and other assets'
    jobs may hang on those that `concern` them.
    """

    ready: list[int]
    unjudged: list[int]
    concern: list[int]


async def create_jobs(
    tx: AsyncConnection,
    pipelines: Mapping[str, int],
    *,
    opened: Collection[str] = (),
    related: Collection[str] = (),
) -> NewJobs:
    """Give assets a job per stage of their pipelines; what is to be done about the new ones.

    The pipeline is given with each: a newcomer's row is not yet in what the planner knows. All
    that a newcomer's jobs can wait for inside of it has only begun, so its pipeline alone says how
    they stand, but for edges that lead to other assets. `opened` are assets that were there
    before and may have results, `related` those that have a parent or neighbours. The edges must
    be held (`track.jobs.edges`).
    """
    given = {
        "guids": list(pipelines),
        "pipelines": list(pipelines.values()),
        "opened": [guid in opened for guid in pipelines],
        "others": [guid in related for guid in pipelines],
    }
    made = (await tx.execute(CREATE_JOBS, given)).all()
    return NewJobs(
        ready=[row.id for row in made if row.ready],
        unjudged=[row.id for row in made if row.unjudged],
        concern=[row.id for row in made if row.concerns],
    )


async def stages_running(
    tx: AsyncConnection, pipeline_name: str, modules: Iterable[str]
) -> list[str]:
    """The keys of a pipeline's stages that run one of these modules, in their order."""
    statement = (
        select(stage.c.key)
        .join(pipeline, pipeline.c.id == stage.c.pipeline_id)
        .where(pipeline.c.name == pipeline_name, stage.c.archived_at.is_(None))
        .where(stage.c.kind == "module", any_of(stage.c.run, modules))
        .order_by(stage.c.position)
    )
    return list((await tx.execute(statement)).scalars())


async def pipelines_by_name(tx: AsyncConnection) -> dict[str, Pipeline]:
    """Every pipeline as it is defined now."""
    rows = await tx.execute(select(pipeline.c.name, pipeline.c.definition))
    return {row.name: Pipeline.model_validate(row.definition) for row in rows}


async def pipeline_names(tx: AsyncConnection) -> set[str]:
    """The pipelines an asset may name."""
    rows = await tx.execute(select(pipeline.c.name).where(pipeline.c.name != UNREADABLE))
    return set(rows.scalars())
