"""What an operator means: names are looked up, and an unknown one is answered with the nearest.

Nothing is changed here. Whatever cannot be meant is refused in words that say which
parameter is wrong and what to write instead.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.yaml_lines import nearest
from track.schema.states import State
from track.schema.tables import asset, job, pipeline, session, site, stage


class CannotDo(Exception):
    """What was asked for cannot be done as it was written; the text says what to write."""


@dataclass(frozen=True)
class Selection:
    """Which jobs are meant: those that fit everything that is given."""

    guid: str | None = None
    stage: str | None = None
    session: UUID | None = None
    pipeline: str | None = None

    @property
    def empty(self) -> bool:
        """Whether it would mean every job there is."""
        return not (self.guid or self.stage or self.session or self.pipeline)


async def select_jobs(
    tx: AsyncConnection, wanted: Selection, states: Iterable[State] | None = None
) -> list[int]:
    """The jobs of a selection, oldest first, in these states or in any. Raises CannotDo."""
    await check(tx, wanted)
    statement = (
        select(job.c.id)
        .join(asset, asset.c.guid == job.c.asset_guid)
        .join(stage, stage.c.id == job.c.stage_id)
        .join(pipeline, pipeline.c.id == stage.c.pipeline_id)
        .where(stage.c.archived_at.is_(None), stage.c.pipeline_id == asset.c.pipeline_id)
        .order_by(asset.c.created_at, asset.c.guid, stage.c.position)
    )
    for column, value in (
        (asset.c.guid, wanted.guid),
        (stage.c.key, wanted.stage),
        (asset.c.session_id, wanted.session),
        (pipeline.c.name, wanted.pipeline),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if states is not None:
        statement = statement.where(job.c.state.in_(sorted(states)))
    return list((await tx.execute(statement)).scalars())


async def check(tx: AsyncConnection, wanted: Selection) -> None:
    """Raise CannotDo when something named in a selection does not exist."""
    of_pipeline = wanted.pipeline
    if wanted.guid is not None:
        of_pipeline = (await asset_row(tx, wanted.guid)).pipeline
    if wanted.pipeline is not None:
        await pipeline_row(tx, wanted.pipeline)
    if wanted.stage is not None:
        await stage_row(tx, wanted.stage, of_pipeline)
    if wanted.session is not None:
        await session_row(tx, wanted.session)


async def check_one_of(tx: AsyncConnection, guid: str | None, session_id: UUID | None) -> None:
    """Raise CannotDo unless either an asset or a session is given, and is known."""
    if (guid is None) == (session_id is None):
        raise CannotDo("guid, session: give one of the two")
    await check(tx, Selection(guid=guid, session=session_id))


async def asset_row(tx: AsyncConnection, guid: str) -> Row[Any]:
    """An asset, with the name of its `pipeline`. Raises CannotDo."""
    statement = select(asset, pipeline.c.name.label("pipeline")).join(pipeline)
    row = (await tx.execute(statement.where(asset.c.guid == guid))).one_or_none()
    if row is None:
        raise CannotDo(
            f"guid: no asset {guid!r}; write it as the session's table shows it, "
            "with upper and lower case"
        )
    return row


async def session_row(tx: AsyncConnection, session_id: UUID) -> Row[Any]:
    """A session. Raises CannotDo."""
    row = (await tx.execute(select(session).where(session.c.id == session_id))).one_or_none()
    if row is None:
        raise CannotDo(f"session: no session {session_id}; its id is in its dispatcher's run name")
    return row


async def pipeline_row(tx: AsyncConnection, name: str) -> Row[Any]:
    """A pipeline. Raises CannotDo."""
    return await _row_named(tx, pipeline, name, "pipeline")


async def site_row(tx: AsyncConnection, name: str, parameter: str = "site") -> Row[Any]:
    """A site. Raises CannotDo."""
    return await _row_named(tx, site, name, parameter)


async def _row_named(tx: AsyncConnection, table: Table, name: str, parameter: str) -> Row[Any]:
    row = (await tx.execute(select(table).where(table.c.name == name))).one_or_none()
    if row is None:
        names = (await tx.execute(select(table.c.name))).scalars()
        raise _unknown(table.name, name, names, parameter=parameter)
    return row


async def stage_row(tx: AsyncConnection, key: str, pipeline_name: str | None) -> Row[Any]:
    """A stage that a pipeline, or (None) any of them, has today. Raises CannotDo."""
    stages = select(stage).join(pipeline).where(stage.c.archived_at.is_(None))
    if pipeline_name is not None:
        stages = stages.where(pipeline.c.name == pipeline_name)
    rows = {row.key: row for row in await tx.execute(stages)}
    if key not in rows:
        where = f" in {pipeline_name}" if pipeline_name is not None else ""
        raise _unknown("stage", key, rows, where)
    return rows[key]


def _unknown(
    noun: str, given: str, known: Iterable[str], where: str = "", parameter: str = ""
) -> CannotDo:
    names = sorted(known)
    near = nearest(given, names)
    remedy = f"did you mean {near!r}?" if near else f"there are: {', '.join(names) or 'none'}"
    return CannotDo(f"{parameter or noun}: no {noun} {given!r}{where}; {remedy}")
