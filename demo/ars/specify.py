"""Handing finished assets on to Specify, the museum's collection database.

The stand-in has no Specify: what is scheduled counts as taken at the job's next run, so that
the statuses a client must know how to read do occur.
"""

from demo.ars import assets, events
from demo.ars.store import Connection, Row, rows
from demo.ars.world import World

SCHEDULED = "SPECIFY_SYNC_SCHEDULED"
TAKEN = "SPECIFY_SYNCHRONISED"


async def schedule_if_due(db: Connection, world: World, guid: str) -> None:
    """A synchronised asset that is locked and marked for Specify is handed on."""
    row = await assets.load(db, guid)
    assert row is not None
    document = row["document"]
    wanted = document["asset_locked"] and document["push_to_specify"]
    if wanted and row["internal_status"] == assets.SYNCHRONISED:
        await assets.set_status(db, world, guid, SCHEDULED)


async def take_scheduled(world: World) -> int:
    """Finish what is scheduled; the number of assets taken."""
    async with world.store.transaction() as db:
        due: list[Row] = await rows(
            db,
            "UPDATE asset SET internal_status = %s WHERE internal_status = %s RETURNING asset_guid",
            TAKEN,
            SCHEDULED,
        )
        for row in due:
            guid = row["asset_guid"]
            await events.record(db, world.clock, guid, events.IN_SPECIFY, user=None)
    return len(due)
