"""The ERDA job: carries awaiting shares over to ERDA and closes them.

Its habits are the archive's: attempts are counted before the work, three failures end in
ERDA_FAILED, and success is announced a moment before the share is gone.
"""

import asyncio
import logging
from dataclasses import dataclass

import psycopg

from demo.ars import assets, events, files, shares
from demo.ars.faults import Point
from demo.ars.store import Connection, Row, one, rows, run
from demo.ars.world import World

_AT_ONCE = 4
_log = logging.getLogger(__name__)


class TransferFailed(Exception):
    """One asset's files could not be carried over; the message ends up on the asset."""


@dataclass(frozen=True)
class TickReport:
    """How many awaiting shares a run took up, and what became of them."""

    picked: int = 0
    synchronised: int = 0
    failed: int = 0


async def run_forever(world: World) -> None:
    """Tick with the configured pause until cancelled; a bad run is logged and the next comes."""
    while True:
        await asyncio.sleep(world.config.tick_seconds)
        try:
            await tick(world)
        except (OSError, psycopg.Error):
            _log.exception("The ERDA job's run failed; the next one is due as usual")


async def tick(world: World) -> TickReport:
    """One run over all awaiting shares with attempts left; runs never overlap."""
    async with world.ticking:
        await assets.finish_in_specify(world)
        picked = await _pick(world)
        if not picked:
            return TickReport()
        if world.faults.take(Point.ERDA_UNREACHABLE):
            _log.warning("No ERDA connection: %d shares not taken up", len(picked))
            return TickReport(picked=len(picked))
        gate = asyncio.Semaphore(_AT_ONCE)
        done = await asyncio.gather(*(_one_share(world, share, gate) for share in picked))
    good = sum(done)
    return TickReport(picked=len(picked), synchronised=good, failed=len(done) - good)


async def _pick(world: World) -> list[Row]:
    """Take up what awaits. Counting here, before any work, is what lets an outage use attempts."""
    async with world.store.transaction() as db:
        return await rows(
            db,
            "UPDATE share SET attempts = attempts + 1 WHERE awaiting AND attempts < %s RETURNING *",
            shares.MAX_ATTEMPTS,
        )


async def _one_share(world: World, share: Row, gate: asyncio.Semaphore) -> bool:
    guid = share["asset_guid"]
    async with gate:
        try:
            await _transfer(world, share)
        except (TransferFailed, OSError) as error:
            if share["attempts"] >= shares.MAX_ATTEMPTS:
                async with world.store.transaction() as db:
                    await assets.set_status(db, world, guid, assets.FAILED, str(error))
            return False
        if not await _complete(world, share):
            return False
        if slow := world.faults.take(Point.SLOW_GAP, guid):
            await asyncio.sleep(slow.seconds)
        await asyncio.sleep(world.config.gap_ms / 1000)
        await _close(world, share)
    return True


async def _transfer(world: World, share: Row) -> None:
    """Make ERDA hold exactly the share's files."""
    guid, where = share["asset_guid"], shares.place(share)
    if world.faults.take(Point.ERDA_PUT_FAILS, guid):
        raise TransferFailed("Failed to upload files to ERDA")
    async with world.store.transaction() as db:
        listed = await files.of_asset(db, guid)
    names = [files.name_of(row) for row in listed if not row["delete_after_sync"]]
    await asyncio.to_thread(world.folders.put_in_erda, where, names)


async def _complete(world: World, share: Row) -> bool:
    """Mark the files and set the asset's status; False when that was lost on the way.

    All of the asset's files are marked, also one uploaded while the job was copying: it is
    then lost with the share. Clients must not upload while a share awaits.
    """
    guid = share["asset_guid"]
    async with world.store.transaction() as db:
        changes = await _changes(db, guid)
        mark = (
            "UPDATE file SET sync_status = 'SYNCHRONIZED'"
            " WHERE asset_guid = %s AND NOT delete_after_sync"
        )
        await run(db, mark, guid)
        if world.faults.take(Point.COMPLETE_LOST, guid):
            return False
        asset = await assets.load(db, guid, lock=True)
        if asset is None:
            return True
        if asset["document"]["asset_locked"]:
            await assets.set_status(db, world, guid, assets.FAILED, "Asset is locked")
            return True
        await assets.set_status(db, world, guid, assets.SYNCHRONISED)
        await _announce(db, world, share, changes)
    return True


async def _changes(db: Connection, guid: str) -> list[str]:
    """What this synchronisation changes in ERDA, in the archive's three words."""
    listed = await files.of_asset(db, guid)
    in_erda = {row["path"] for row in listed if row["sync_status"] == "SYNCHRONIZED"}
    kept = [row for row in listed if not row["delete_after_sync"]]
    fresh = {row["path"] for row in kept if row["sync_status"] == "NEW_FILE"}
    words = {
        "FILE_ADDED": fresh - in_erda,
        "FILE_UPDATED": fresh & in_erda,
        "FILE_DELETED": in_erda - {row["path"] for row in kept},
    }
    return [word for word, paths in words.items() if paths]


async def _announce(db: Connection, world: World, share: Row, changes: list[str]) -> None:
    """CREATE_ASSET the first time; afterwards UPDATE_ASSET, if anything changed."""
    guid = share["asset_guid"]
    first = await events.latest(db, guid, events.CREATED) is None
    if not first and not changes:
        return
    await events.record(
        db,
        world.clock,
        guid,
        events.CREATED if first else events.UPDATED,
        user=share["sync_user"],
        pipeline=share["sync_pipeline"],
        changes=[] if first else changes,
    )


async def _close(world: World, share: Row) -> None:
    """Remove the share, its marked rows and its folder; files not carried over go with it."""
    guid = share["asset_guid"]
    if world.faults.take(Point.CLEANUP_FAILS, guid):
        _log.warning("Cleaning up the share of %s failed on demand", guid)
        return
    async with world.store.transaction() as db:
        gone = await one(
            db, "DELETE FROM share WHERE share_id = %s RETURNING share_id", share["share_id"]
        )
        await run(db, "DELETE FROM file WHERE asset_guid = %s AND delete_after_sync", guid)
    if gone:
        await asyncio.to_thread(world.folders.remove_share, shares.place(share))
