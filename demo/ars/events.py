"""What happened to an asset, append-only, in the archive's words."""

from collections.abc import Sequence
from typing import Any

from psycopg.types.json import Jsonb

from demo.ars.clock import ArchiveClock, iso
from demo.ars.store import Connection, insert, one, rows

CREATED = "CREATE_ASSET"
UPDATED = "UPDATE_ASSET"
CREATED_METADATA = "CREATE_ASSET_METADATA"
UPDATED_METADATA = "UPDATE_ASSET_METADATA"
IN_SPECIFY = "SYNCHRONISE_SPECIFY"


async def record(
    db: Connection,
    clock: ArchiveClock,
    guid: str,
    event: str,
    *,
    user: str | None,
    pipeline: str | None = None,
    changes: Sequence[object] = (),
) -> None:
    await insert(
        db,
        "event",
        asset_guid=guid,
        username=user,
        at=clock.now(),
        event=event,
        pipeline=pipeline,
        change_list=Jsonb(list(changes)),
    )


async def of_asset(db: Connection, guid: str) -> list[dict[str, Any]]:
    """The events of an asset, oldest first."""
    found = await rows(db, "SELECT * FROM event WHERE asset_guid = %s ORDER BY event_id", guid)
    return [
        {
            "user": row["username"],
            "timestamp": iso(row["at"]),
            "event": row["event"],
            "pipeline": row["pipeline"],
            "change_list": row["change_list"],
            "bulk_update_uuid": None,
        }
        for row in found
    ]


async def latest(db: Connection, guid: str, event: str) -> dict[str, Any] | None:
    sql = "SELECT * FROM event WHERE asset_guid = %s AND event = %s ORDER BY event_id DESC LIMIT 1"
    return await one(db, sql, guid, event)
