"""What an operator may set: attention, the on/off switches, priority.

None of it moves a job; it decides what may be claimed. Whatever lets jobs run again wakes
their sessions in the same transaction.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Table, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import ASSET_ATTENTION, asset_event
from track.commands.operations import ResultRow
from track.commands.selection import (
    CannotDo,
    asset_row,
    check_one_of,
    pipeline_row,
    site_row,
    stage_row,
)
from track.jobs.moves import lock
from track.jobs.parking import wake_or_park
from track.records.outbox import put
from track.schema.arrays import any_of, one_of
from track.schema.history import record, record_all
from track.schema.states import ENDED, State
from track.schema.tables import asset, attempt, job, pipeline, site, stage

AT_SITES = stage.c.kind != "builtin"


async def set_attention(
    tx: AsyncConnection, guid: str, note: str | None, *, actor: str
) -> ResultRow:
    """Hold an asset and its descendants for a person, or let them go on (None).

    Nothing of it is claimed meanwhile; callbacks still apply. Raises CannotDo.
    """
    row = await asset_row(tx, guid)
    family = select(asset.c.guid).where(_with_children(guid))
    aside = job.c.asset_guid.in_(family) & job.c.held
    if note is None:
        await lock(tx, list((await tx.execute(select(job.c.id).where(aside))).scalars()))
    before = await _locked(tx, asset, asset.c.guid == guid)
    line = ResultRow(guid, "", before.attention or "", note or "")
    if not line.changed:
        return line
    mine = update(asset).where(asset.c.guid == guid)
    await tx.execute(mine.values(attention=note))
    await record(
        tx, actor=actor, what="asset.attention", session_id=row.session_id, asset_guid=guid,
        old=before.attention, new=note,
    )  # fmt: skip
    about = {"session": row.session_id, "pipeline": row.pipeline}
    payload = {"attention": note, "by": actor}
    await put(tx, asset_event(ASSET_ATTENTION, guid, **about, payload=payload))
    if note is None:
        await tx.execute(update(job).where(aside).values(held=False))
        await wake_where(tx, _with_children(guid))
    return line


async def switch_pipeline(tx: AsyncConnection, name: str, on: bool, *, actor: str) -> ResultRow:
    """Let a pipeline's jobs be claimed, or not. Raises CannotDo."""
    found = await pipeline_row(tx, name)
    of_it = stage.c.pipeline_id == found.id
    return await _switch(tx, pipeline, "active", pipeline.c.id == found.id, name, on, actor, of_it)


async def switch_stage(
    tx: AsyncConnection, key: str, pipeline_name: str | None, on: bool, *, actor: str
) -> ResultRow:
    """Let one stage's jobs be claimed, or not. Raises CannotDo.

    The pipeline may be left out while only one has a stage of this name.
    """
    name = pipeline_name or await _only_pipeline_with(tx, key)
    await pipeline_row(tx, name)
    found = await stage_row(tx, key, name)
    mine = stage.c.id == found.id
    return await _switch(tx, stage, "active", mine, f"{name}/{key}", on, actor, mine)


async def switch_site(tx: AsyncConnection, name: str, on: bool, *, actor: str) -> ResultRow:
    """Let a site be chosen for new work, or not; what is in its queue stays. Raises CannotDo."""
    await site_row(tx, name)
    return await _switch(tx, site, "open", site.c.name == name, name, on, actor, AT_SITES)


async def _switch(
    tx: AsyncConnection,
    table: Table,
    column: str,
    mine: ColumnElement[bool],
    name: str,
    on: bool,
    actor: str,
    concerned: ColumnElement[bool],
) -> ResultRow:
    """Set a switch; on means that the jobs of the stages `concerned` may go on."""
    was = getattr(await _locked(tx, table, mine), column)
    line = ResultRow(f"{table.name} {name}", "", _word(was), _word(on))
    if not line.changed:
        return line
    await tx.execute(update(table).where(mine).values({column: on}))
    await record(
        tx, actor=actor, what=f"{table.name}.{column}", old=_word(was), new=_word(on), why=name
    )
    if on:
        await wake_where(tx, concerned)
    return line


def _word(on: bool) -> str:
    return "on" if on else "off"


async def set_priority(
    tx: AsyncConnection,
    priority: int,
    *,
    guid: str | None = None,
    session_id: UUID | None = None,
    actor: str,
) -> list[ResultRow]:
    """Give an asset with its descendants, or all of a session, a priority. Raises CannotDo.

    Higher is claimed first; only what changes is answered with a line.
    """
    await check_one_of(tx, guid, session_id)
    mine = asset.c.session_id == session_id if guid is None else _with_children(guid)
    left = select(job.c.id).join(asset, asset.c.guid == job.c.asset_guid)
    left = left.where(mine, asset.c.priority != priority, ~one_of(job.c.state, ENDED))
    await lock(tx, list((await tx.execute(left)).scalars()))
    others = select(asset.c.guid, asset.c.priority, asset.c.session_id)
    others = others.where(mine, asset.c.priority != priority).order_by(asset.c.guid)
    rows = (await tx.execute(others.with_for_update(key_share=True))).all()
    changed = any_of(asset.c.guid, [row.guid for row in rows])
    await tx.execute(update(asset).where(changed).values(priority=priority))
    theirs = any_of(job.c.asset_guid, [row.guid for row in rows])
    theirs &= ~one_of(job.c.state, ENDED)  # the others take it when they wait again
    current = await tx.execute(
        update(job).where(theirs).values(priority=priority).returning(job.c.attempt_id)
    )
    queued = any_of(attempt.c.id, [each for each in current.scalars() if each is not None])
    queued &= attempt.c.closed_at.is_(None)
    await tx.execute(update(attempt).where(queued).values(priority=priority))
    changes = [
        {
            "session_id": row.session_id,
            "asset_guid": row.guid,
            "old": str(row.priority),
            "new": str(priority),
        }
        for row in rows
    ]
    await record_all(tx, changes, actor=actor, what="asset.priority")
    # Who waits for room has another turn now.
    await wake_or_park(tx, *{row.session_id for row in rows})
    return [ResultRow(row.guid, "", str(row.priority), str(priority)) for row in rows]


def _with_children(guid: str) -> ColumnElement[bool]:
    return (asset.c.guid == guid) | (asset.c.parent_guid == guid)


async def _only_pipeline_with(tx: AsyncConnection, key: str) -> str:
    names = select(pipeline.c.name).join(stage).where(stage.c.key == key)
    found = sorted((await tx.execute(names.where(stage.c.archived_at.is_(None)))).scalars())
    if len(found) == 1:
        return str(found[0])
    if found:
        raise CannotDo(f"pipeline: {', '.join(found)} have a stage {key!r}; say which is meant")
    raise CannotDo(f"stage: no pipeline has a stage {key!r}; name the pipeline as well")


async def _locked(tx: AsyncConnection, table: Table, mine: ColumnElement[bool]) -> Row[Any]:
    return (await tx.execute(select(table).where(mine).with_for_update(key_share=True))).one()


async def wake_where(tx: AsyncConnection, concerned: ColumnElement[bool]) -> None:
    """Wake the sessions that have something to claim or to finish among these stages' jobs."""
    sessions = (
        select(asset.c.session_id)
        .join(job, job.c.asset_guid == asset.c.guid)
        .join(stage, stage.c.id == job.c.stage_id)
        .where(concerned, one_of(job.c.state, {State.READY, State.RETURNED}))
        .distinct()
    )
    await wake_or_park(tx, *(await tx.execute(sessions)).scalars())
