"""Finalising an asset: its share closed, its last metadata in the archive and read back.

What is noted of its end belongs to the transaction that finishes the stage (see
`track.jobs.endings`): a stage that has to be done again meanwhile is no end.
"""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.tier import TierRefused
from tasks.archive.metadata import push_pending
from tasks.archive.stages import close_share
from tasks.dispatch.dispatcher import Dispatcher
from track.jobs import endings
from track.jobs.claims import Claim
from track.records.documents import change_document, mark_unpushed, read_document
from track.schema.database import transact

ROUNDS = 3


async def finalise(dispatcher: Dispatcher, claim: Claim) -> None:
    """Close, date, push and read back, lock if asked to.

    Raises TierError; TierRefused also when it keeps holding something else than was pushed.
    """
    guid = claim.guid
    await close_share(dispatcher, guid)
    await transact(dispatcher.engine, _date, guid, dispatcher.actor)
    await _push_until_held(dispatcher, guid)
    if await transact(dispatcher.engine, endings.to_be_locked, claim.job_id):
        await dispatcher.tier.lock(guid)


async def is_final(dispatcher: Dispatcher, claim: Claim) -> bool:
    """Whether its end was noted: not when the stage has to be done again."""
    return await transact(dispatcher.engine, endings.is_final, claim.guid)


async def _date(tx: AsyncConnection, guid: str, actor: str) -> None:
    """Write the day it was finalised, once."""
    if (await read_document(tx, guid, lock=True)).date_asset_finalised is None:
        field = "date_asset_finalised"
        now = datetime.now(UTC).isoformat(timespec="seconds")
        await change_document(tx, guid, {field: now}, writes=[field], actor=actor)


async def _push_until_held(dispatcher: Dispatcher, guid: str) -> None:
    """Push, read back, and push again while the archive holds something else."""
    tier, engine = dispatcher.tier, dispatcher.engine
    fields: tuple[str, ...] = ()
    for _ in range(ROUNDS):
        await push_pending(engine, tier, guid)
        fields = await tier.differing(await transact(engine, read_document, guid))
        if not fields:
            return
        await transact(engine, mark_unpushed, [guid])
    raise TierRefused(
        f"{tier.name} does not hold what it was told of {', '.join(fields)}, {ROUNDS} times over:"
        f" compare {guid} there with its metadata here, then resubmit finalise"
    )
