"""Finalising an asset: its share closed, its last metadata in ARS and read back.

The copies it no longer needs are entered into the due table in the transaction that
notes the end; prune looks for the copies that must exist before it deletes any.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import distinct, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.ars_client import ArsRefused
from tasks.ars import ensure_share_closed, lock, unlike
from tasks.dispatcher import Dispatcher
from tasks.metadata import ars_body, push_pending
from track.claims import Claim
from track.database import transact
from track.documents import change_document, owe_all, read_document
from track.files import due_for_removal, read_asset
from track.jobs import release_asset
from track.tables import asset, attempt, job, stage

KEEP = {"ndrive": timedelta(days=7), "store": timedelta(days=1), "site": timedelta(hours=1)}
"""How long each kind of temporary copy outlives the end of its asset."""

ROUNDS = 3


async def finalise(dispatcher: Dispatcher, claim: Claim) -> None:
    """Close, date, push and read back, lock if asked to; then let go of the asset.

    Raises ArsError; ArsRefused also when ARS keeps holding something else than it was told.
    """
    guid = claim.guid
    await ensure_share_closed(dispatcher.ars, guid)
    await transact(dispatcher.engine, lambda tx: _date(tx, guid, dispatcher.actor))
    await _push_until_held(dispatcher, guid)
    if await transact(dispatcher.engine, lambda tx: _to_be_locked(tx, claim)):
        await lock(dispatcher.ars, guid)
    await transact(dispatcher.engine, lambda tx: _let_go(tx, guid))


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
        await transact(engine, lambda tx: owe_all(tx, [guid]))
    raise ArsRefused(
        f"ARS does not hold what it was told of {', '.join(differing)}, {ROUNDS} times over:"
        f" compare {guid} there with its metadata here, then resubmit finalise"
    )


async def _let_go(tx: AsyncConnection, guid: str) -> None:
    row = await read_asset(tx, guid)
    mine = update(asset).where(asset.c.guid == guid)
    await tx.execute(mine.values(finalised_at=func.coalesce(asset.c.finalised_at, func.now())))
    if row.parent_guid is None:
        await release_asset(tx, guid)
    if row.source_path is not None:
        await due_for_removal(tx, guid, "ndrive", str(row.source_path), keep=KEEP["ndrive"])
    if row.local_path is not None:
        await due_for_removal(tx, guid, "store", str(row.local_path), keep=KEEP["store"])
    visited = (
        select(distinct(attempt.c.site))
        .join(job, job.c.id == attempt.c.job_id)
        .where(job.c.asset_guid == guid)
    )
    for site in (await tx.execute(visited)).scalars():
        await due_for_removal(tx, guid, "site", site, keep=KEEP["site"])
