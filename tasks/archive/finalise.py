"""Finalising an asset: its share closed, its last metadata in ARS and read back.

What is noted of its end belongs to the transaction that finishes the stage (see
`track.jobs.endings`): a stage that has to be done again meanwhile is no end.
"""

from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.ars_client import ArsRefused
from tasks.archive.ars import lock, unlike
from tasks.archive.metadata import ars_body, push_pending
from tasks.archive.stages import close_share
from tasks.dispatch.dispatcher import Dispatcher
from track.jobs.claims import Claim
from track.records.documents import change_document, mark_unpushed, read_document
from track.schema.database import transact
from track.schema.tables import asset, job, stage

ROUNDS = 3


async def finalise(dispatcher: Dispatcher, claim: Claim) -> None:
    """Close, date, push and read back, lock if asked to.

    Raises ArsError; ArsRefused also when ARS keeps holding something else than it was told.
    """
    guid = claim.guid
    await close_share(dispatcher, guid)
    await transact(dispatcher.engine, lambda tx: _date(tx, guid, dispatcher.actor))
    await _push_until_held(dispatcher, guid)
    if await transact(dispatcher.engine, lambda tx: _to_be_locked(tx, claim)):
        await lock(dispatcher.ars, guid)


async def is_final(dispatcher: Dispatcher, claim: Claim) -> bool:
    """Whether its end was noted: not when the stage has to be done again."""
    noted = select(asset.c.finalised_at).where(asset.c.guid == claim.guid)
    async with dispatcher.engine.connect() as connection:
        return (await connection.execute(noted)).scalar_one() is not None


async def _to_be_locked(tx: AsyncConnection, claim: Claim) -> bool:
    of_job = select(stage.c.params).join(job, job.c.stage_id == stage.c.id)
    params = (await tx.execute(of_job.where(job.c.id == claim.job_id))).scalar_one()
    return bool(params.get("lock"))


async def _date(tx: AsyncConnection, guid: str, actor: str) -> None:
    """Write the day it was finalised, once."""
    if (await read_document(tx, guid, lock=True)).date_asset_finalised is None:
        field = "date_asset_finalised"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        await change_document(tx, guid, {field: now}, writes=[field], actor=actor)


async def _push_until_held(dispatcher: Dispatcher, guid: str) -> None:
    """Push, read ARS back, and push again while it holds something else."""
    ars, engine = dispatcher.ars, dispatcher.engine
    differing: tuple[str, ...] = ()
    for _ in range(ROUNDS):
        await push_pending(engine, ars, guid)
        async with engine.connect() as connection:
            wanted = ars_body(ars, await read_document(connection, guid))
        differing = unlike(await ars.assets.get(guid) or {}, wanted)
        if not differing:
            return
        await transact(engine, lambda tx: mark_unpushed(tx, [guid]))
    raise ArsRefused(
        f"ARS does not hold what it was told of {', '.join(differing)}, {ROUNDS} times over:"
        f" compare {guid} there with its metadata here, then resubmit finalise"
    )
