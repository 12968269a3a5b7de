"""Pushing metadata to ARS: whoever sees that ARS lacks a revision pushes it.

One push per asset at a time, held by an advisory lock; the revision that was pushed is
noted, so a change that came meanwhile is pushed again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from blocks.ars_client import ArsClient, ArsError
from schemas.metadata.ars_asset import Profile, specimens_of, to_ars
from schemas.metadata.document import Metadata
from tasks.archive.ars import ensure_specimens, push_metadata
from tasks.dispatch.dispatcher import Dispatcher
from track.records.documents import Unpushed, mark_pushed, unpushed
from track.records.mos import unpushed_relatives
from track.schema.database import transact
from track.schema.lasting import TRANSACTION

LONGEST_PAUSE_S = 60.0

log = logging.getLogger(__name__)


async def push_pending(engine: AsyncEngine, ars: ArsClient, guid: str) -> int | None:
    """Push what ARS lacks of an asset's metadata; the revision pushed, None if it lacked none.

    Raises ArsError.
    """
    if await transact(engine, lambda tx: unpushed(tx, guid)) is None:
        return None
    pushed = None
    # A push holds one connection and needs another: many at once would wait for each other.
    async with ars.assets.pushing, _alone(engine, guid):
        while (pending := await transact(engine, lambda tx: unpushed(tx, guid))) is not None:
            await _push(engine, ars, guid, pending)
            pushed = pending.revision
    return pushed


async def _push(engine: AsyncEngine, ars: ArsClient, guid: str, pending: Unpushed) -> None:
    told = None if pending.told is None else ars_body(ars, pending.told)
    await ensure_specimens(ars, specimen_bodies(ars, pending.metadata))
    await push_metadata(ars, guid, ars_body(ars, pending.metadata), before=told)
    await transact(engine, lambda tx: mark_pushed(tx, guid, pending.revision))


async def push_changed(dispatcher: Dispatcher, guid: str) -> None:
    """Push what a stage changed, of its asset and of others.

    A label gets the codes of its specimens, derivatives those of their sheet, and their own
    roads may be over by then. Waits for as long as ARS is only busy or silent: what came back
    from a cluster is finished, and must not be done again because the archive is away. Raises
    ArsRefused when a person has to act; for another asset that is not this one's fault, and
    ARS stays owed.
    """
    await _push_patiently(dispatcher, guid)
    for other in await transact(dispatcher.engine, lambda tx: unpushed_relatives(tx, guid)):
        try:
            await _push_patiently(dispatcher, other)
        except ArsError as error:
            log.warning("%s: the archive is owed its metadata: %s", other, error)


async def _push_patiently(dispatcher: Dispatcher, guid: str) -> None:
    while True:
        try:
            await push_pending(dispatcher.engine, dispatcher.ars, guid)
            return
        except ArsError as error:
            if error.retry_after is None:
                raise
            log.info("%s: its metadata waits for the archive: %s", guid, error)
            await asyncio.sleep(min(error.retry_after, LONGEST_PAUSE_S))


def ars_body(ars: ArsClient, metadata: Metadata) -> dict[str, object]:
    """The body of an asset in ARS's names."""
    user = ars.address.update_user
    return to_ars(metadata, update_user=user, profile=_profile(ars))


def specimen_bodies(ars: ArsClient, metadata: Metadata) -> list[dict[str, object]]:
    """The specimens that the asset names, which ARS has to know first."""
    return [each.model_dump(mode="json") for each in specimens_of(metadata, _profile(ars))]


def _profile(ars: ArsClient) -> Profile:
    return "v2_6" if ars.address.profile == "v2_6" else "current"


@asynccontextmanager
async def _alone(engine: AsyncEngine, guid: str) -> AsyncIterator[None]:
    """Hold the asset's push lock for as long as the connection lives."""
    async with engine.begin() as tx:
        key = func.hashtextextended(f"push:{guid}", 0)
        await tx.execute(text(TRANSACTION))
        await tx.execute(select(func.pg_advisory_xact_lock(key)))
        yield
