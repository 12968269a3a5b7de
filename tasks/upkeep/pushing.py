"""What an operator has written into metadata, or wants the archive to be told again."""

from collections.abc import Sequence
from uuid import UUID

from prefect.client.schemas.objects import State
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from blocks.tier import Tier, TierError
from schemas.metadata.corrections import read_value
from schemas.metadata.errors import MetadataError
from tasks.archive.configured import open_tier
from tasks.archive.metadata import push_pending
from tasks.upkeep.operator import answer, operating
from track.commands import corrections, replacements
from track.commands.operations import ResultRow, choose_to_push
from track.commands.selection import CannotDo
from track.records.documents import created_and_unpushed
from track.records.mos import unpushed_relatives
from track.schema.database import transact


async def correct(by: str, guid: str, field: str, value: str, why: str) -> State:
    """Write a field of an asset's metadata, have the archive told, and answer. Raises CannotDo."""
    try:
        given = read_value(value)
    except MetadataError as error:
        raise CannotDo(f"value: {error.problem}. {error.remedy}") from None
    async with operating(by) as (engine, actor):
        rows = await transact(
            engine, corrections.correct_field, guid, field, given, actor=actor, why=why
        )
        return await answer("metadata", [*rows, *await push_concerned(engine, rows)])


async def replace(by: str, old: str, new: str | None, why: str) -> State:
    """Say that an asset's image shows the specimen of another one, and answer. Raises CannotDo."""
    async with operating(by) as (engine, actor):
        rows = await transact(engine, replacements.replace, old, new, actor=actor, why=why)
        return await answer("replace", [*rows, *await push_concerned(engine, rows)])


async def push_concerned(engine: AsyncEngine, rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Push what was changed of these assets and of their objects' other sheets.

    A row for each of which the archive could not be told. What it lacks then, reconcile pushes.
    """

    async def lacking(tx: AsyncConnection) -> list[str]:
        guids = {row.guid for row in rows}
        for guid in sorted(guids):
            guids |= set(await unpushed_relatives(tx, guid))
        return await created_and_unpushed(tx, sorted(guids))

    if not any(row.changed for row in rows) or not (guids := await transact(engine, lacking)):
        return []
    async with open_tier() as tier:
        pushed = [await _push(engine, tier, each) for each in guids]
    return [row for row in pushed if row.note and not row.changed]


async def push_again(
    by: str, guid: str | None, session_id: UUID | None, *, everything: bool
) -> State:
    """Push the metadata that the archive lacks, or, with `everything`, all we know again.

    An asset that it does not know yet gets its metadata when it is created there.
    """
    async with operating(by) as (engine, actor):
        guids = await transact(
            engine, choose_to_push, guid, session_id, everything=everything, actor=actor
        )
        async with open_tier() as tier:
            return await answer("push", [await _push(engine, tier, each) for each in guids])


async def _push(engine: AsyncEngine, tier: Tier, guid: str) -> ResultRow:
    try:
        number = await push_pending(engine, tier, guid)
    except TierError as error:
        return ResultRow(guid, "", "unpushed", "unpushed", f"the archive: {error}")
    if number is None:
        return ResultRow(guid, "", "", "", "the archive has it")
    return ResultRow(guid, "", "unpushed", "pushed", f"revision {number}")
