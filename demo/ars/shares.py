"""Shares: the writable folder an asset has while it is being worked on.

There is one per asset or none. Opening copies the asset's files out of ERDA, closing throws
the folder away, synchronising hands it to the ERDA job.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from demo.ars import allocation, assets
from demo.ars.allocation import HttpInfo
from demo.ars.errors import BadRequest, IllegalAction, Internal
from demo.ars.faults import Point
from demo.ars.folders import AssetPlace
from demo.ars.store import Connection, Row, find, hold_disk, insert, run
from demo.ars.tokens import User
from demo.ars.world import World

MAX_ATTEMPTS = 3

Persist = Callable[[Connection], Awaitable[None]]


@dataclass(frozen=True)
class ShareOrder:
    """What is asked for: space in MB for one asset, for these users, with these parents."""

    place: AssetPlace
    parents: tuple[str, ...]
    users: tuple[str, ...]
    allocation_mb: int


async def of_asset(db: Connection, guid: str, *, lock: bool = False) -> Row | None:
    return await find(db, "share", lock=lock, asset_guid=guid)


def place(share: Row) -> AssetPlace:
    return AssetPlace(share["institution"], share["collection"], share["asset_guid"])


async def _judge(db: Connection, world: World, order: ShareOrder) -> HttpInfo:
    """Whether the order fits: into its own allocation, and onto the disk."""
    disk = await allocation.disk(db, world)
    own = await allocation.used_bytes(db, order.place.guid)
    parents = await allocation.used_bytes(db, *order.parents)
    existing = allocation.whole_mb(own + parents)
    if existing > order.allocation_mb:
        return disk.info("BAD_REQUEST", allocation.TOO_SMALL, place=order.place)
    if disk.remaining_mb - order.allocation_mb - existing < 0:
        return disk.info("DISK_FULL", place=order.place)
    taken = allocation.Disk(disk.total_mb, disk.allocated_mb + order.allocation_mb)
    return taken.info(
        "SUCCESS",
        place=order.place,
        hostname=world.config.base_url,
        allocated_mb=order.allocation_mb,
        parent_mb=allocation.whole_mb(parents),
    )


async def open_share(world: World, order: ShareOrder, persist: Persist | None = None) -> HttpInfo:
    """Open a share, and run `persist` in the very transaction that records it.

    Failing after the guid was locked leaves the lock for its 300 seconds, as the archive
    does: the next attempt then hears "already in the process of creation".
    """
    guid = order.place.guid
    if not world.opening.take(guid):
        raise BadRequest(f"A share with guid {guid} is already in the process of creation")
    if world.faults.take(Point.OPEN_SHARE_FAILS, guid):
        raise Internal("Failed to initialise asset share from ERDA")
    async with world.store.transaction() as db:
        if await of_asset(db, guid):
            raise BadRequest("Asset is already checked out")
        info = await _judge(db, world, order)
        parents = await _places(db, order.parents)
    if info.ok:
        await asyncio.to_thread(world.folders.open_share, order.place, parents)
        info = await _record(world, order, persist)
    world.opening.release(guid)
    return info


async def _record(world: World, order: ShareOrder, persist: Persist | None) -> HttpInfo:
    """Judge again with the disk held, then write the share's row; a refusal removes the folder."""
    async with world.store.transaction() as db:
        await hold_disk(db)
        info = await _judge(db, world, order)
        if info.ok:
            await insert(
                db,
                "share",
                asset_guid=order.place.guid,
                institution=order.place.institution,
                collection=order.place.collection,
                parents=list(order.parents),
                users=list(order.users),
                allocation_mb=order.allocation_mb,
            )
            if persist is not None:
                await persist(db)
    if not info.ok:
        await asyncio.to_thread(world.folders.remove_share, order.place)
    return info


async def _places(db: Connection, guids: tuple[str, ...]) -> list[AssetPlace]:
    found = [await assets.load(db, guid) for guid in guids]
    return [assets.place(row) for row in found if row]


async def change_allocation(world: World, guid: str, new_mb: int) -> HttpInfo:
    """Grow or shrink a share; the outcome is in the answer, never in an error."""
    async with world.store.transaction() as db:
        await hold_disk(db)
        disk = await allocation.disk(db, world)
        share = await of_asset(db, guid, lock=True)
        if share is None:
            text = "Failed to allocate storage, no writeable directory found"
            return disk.info("BAD_REQUEST", text)
        where = place(share)
        used = await allocation.used_bytes(db, guid, *share["parents"])
        kept = share["allocation_mb"]
        if allocation.whole_mb(used) > new_mb:
            text = "Size of files in share is greater than the new value"
            return disk.info("BAD_REQUEST", text, place=where, allocated_mb=kept)
        if disk.remaining_mb + kept - new_mb < 0:
            text = "Cannot allocate more storage"
            return disk.info("DISK_FULL", text, place=where, allocated_mb=kept)
        await run(db, "UPDATE share SET allocation_mb = %s WHERE asset_guid = %s", new_mb, guid)
        changed = await allocation.disk(db, world)
    host = world.config.base_url
    return changed.info("SUCCESS", place=where, hostname=host, allocated_mb=new_mb)


async def close_share(world: World, guid: str) -> HttpInfo:
    """Throw the share away with all that was not synchronised; ERDA and status stay."""
    async with world.store.transaction() as db:
        share = await of_asset(db, guid, lock=True)
        disk = await allocation.disk(db, world)
        if share is None:
            return disk.info("SHARE_NOT_FOUND", "No share found")
        if share["awaiting"] and share["attempts"] < MAX_ATTEMPTS:
            return disk.info("BAD_REQUEST", "Share is synchronizing", place=place(share))
        unmark = "UPDATE file SET delete_after_sync = false WHERE asset_guid = %s"
        await run(db, unmark, guid)
        drop = "DELETE FROM file WHERE asset_guid = %s AND sync_status = 'NEW_FILE'"
        await run(db, drop, guid)
        await run(db, "DELETE FROM share WHERE asset_guid = %s", guid)
        disk = await allocation.disk(db, world)
    await asyncio.to_thread(world.folders.remove_share, place(share))
    return disk.info("SUCCESS", "Share deleted", place=place(share))


async def synchronise(world: World, guid: str, user: User, pipeline: str | None) -> None:
    """Hand the share to the ERDA job, with a fresh set of attempts."""
    async with world.store.transaction() as db:
        touched = await run(
            db,
            "UPDATE share SET awaiting = true, attempts = 0, sync_user = %s, sync_pipeline = %s"
            " WHERE asset_guid = %s",
            user.name,
            pipeline,
            guid,
        )
        if touched == 0:
            raise BadRequest("No writeable share for asset found")
        await assets.set_status(db, world, guid, assets.RECEIVED)


async def existing_asset(
    world: World, guid: str, institution: str | None, collection: str | None
) -> Row:
    """The asset a share may be opened for, or a refusal."""
    async with world.store.transaction() as db:
        row = await assets.load(db, guid)
    if row is None:
        raise BadRequest(f"Asset [{guid}] was not found")
    if row["document"]["asset_locked"]:
        raise IllegalAction("Asset is locked")
    if institution is not None and institution != row["institution"]:
        raise BadRequest(f"Asset [{guid}] does not belong to institution [{institution}]")
    if collection is not None and collection != row["collection"]:
        raise BadRequest(f"Asset [{guid}] does not belong to collection [{collection}]")
    return row
