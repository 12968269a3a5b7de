"""Asset rows: reading, writing, and the one JSON view all answers share."""

from typing import Any

from psycopg.types.json import Jsonb

from demo.ars import events, specimens
from demo.ars.allocation import HttpInfo
from demo.ars.clock import iso
from demo.ars.documents import AssetBody, AssetSpecimenBody
from demo.ars.folders import AssetPlace
from demo.ars.store import Connection, Row, find, insert, number, one, rows, run
from demo.ars.tokens import User
from demo.ars.world import World

RECEIVED_METADATA = "METADATA_RECEIVED"
RECEIVED = "ASSET_RECEIVED"
SYNCHRONISED = "ERDA_SYNCHRONISED"
FAILED = "ERDA_FAILED"
SPECIFY_SCHEDULED = "SPECIFY_SYNC_SCHEDULED"
SPECIFY_FAILED = "SPECIFY_SYNC_FAILED"
SPECIFY_SYNCHRONISED = "SPECIFY_SYNCHRONISED"
_SYNCED = (SYNCHRONISED, SPECIFY_SCHEDULED, SPECIFY_FAILED, SPECIFY_SYNCHRONISED)

_MIME_TYPES = {
    "TIF": "image/tiff",
    "JPEG": "image/jpeg",
    "RAF": "image/x-fuji-raf",
    "CR3": "image/x-canon-cr3",
    "DNG": "image/x-adobe-dng",
    "RAW": "image/x-panasonic-raw",
    "TXT": "text/plain",
}


async def load(db: Connection, guid: str, *, lock: bool = False) -> Row | None:
    """The asset's row; with `lock`, held until the transaction ends."""
    return await find(db, "asset", lock=lock, asset_guid=guid)


def place(row: Row) -> AssetPlace:
    return AssetPlace(row["institution"], row["collection"], row["asset_guid"])


async def create(db: Connection, world: World, body: AssetBody, user: User) -> None:
    """Store a checked asset with its specimens and first event."""
    now = world.clock.now()
    document = body.stored() | {"issues": await _numbered(db, body)}
    await insert(
        db,
        "asset",
        asset_guid=body.guid,
        institution=body.institution,
        collection=body.collection,
        document=Jsonb(document),
        internal_status=RECEIVED_METADATA,
        created_date=now,
        created_by=user.name,
        updated_date=now,
    )
    await _link(db, body.guid, body.specimens)
    await events.record(
        db,
        world.clock,
        body.guid,
        events.CREATED_METADATA,
        user=user.name,
        pipeline=body.updating_pipeline or body.pipeline,
    )


async def replace(db: Connection, world: World, old: Row, body: AssetBody, user: User) -> None:
    """Put `body` in place of what is stored: whatever it leaves out is gone.

    Two things stay when omitted: `asset_pid`, and the issues.
    """
    kept = old["document"]
    document = body.stored()
    document["asset_pid"] = body.asset_pid or kept["asset_pid"]
    document["issues"] = kept["issues"] if body.issues is None else await _numbered(db, body)
    changes = sorted(key for key in document if document[key] != kept.get(key))
    await run(
        db,
        "UPDATE asset SET institution = %s, collection = %s, document = %s,"
        " updated_date = %s, updated_by = %s WHERE asset_guid = %s",
        body.institution,
        body.collection,
        Jsonb(document),
        world.clock.now(),
        body.updateUser or user.name,
        body.guid,
    )
    await run(db, "DELETE FROM asset_specimen WHERE asset_guid = %s", body.guid)
    await _link(db, body.guid, body.specimens)
    if body.asset_subject:
        known = {"kind": "subject", "name": body.asset_subject}
        await insert(db, "term", conflict="DO NOTHING", **known)
    await events.record(
        db,
        world.clock,
        body.guid,
        events.UPDATED_METADATA,
        user=body.updateUser or user.name,
        pipeline=body.updating_pipeline or body.pipeline,
        changes=changes,
    )


async def set_status(
    db: Connection, world: World, guid: str, status: str, error: str | None = None
) -> None:
    """Move the internal status; an error message is stamped, its absence clears the stamp."""
    stamp = world.clock.now() if error is not None else None
    await run(
        db,
        "UPDATE asset SET internal_status = %s, error_message = %s, error_timestamp = %s"
        " WHERE asset_guid = %s",
        status,
        error,
        stamp,
        guid,
    )


async def schedule_for_specify(db: Connection, world: World, guid: str) -> None:
    """Hand a synchronised asset on to Specify if it is locked and marked for it."""
    row = await load(db, guid)
    assert row is not None
    wanted = row["document"]["asset_locked"] and row["document"]["push_to_specify"]
    if wanted and row["internal_status"] == SYNCHRONISED:
        await set_status(db, world, guid, SPECIFY_SCHEDULED)


async def finish_in_specify(world: World) -> None:
    """Let everything that is scheduled count as taken: the stand-in has no Specify.

    So the statuses a client must know how to read do occur.
    """
    async with world.store.transaction() as db:
        due = await rows(
            db,
            "UPDATE asset SET internal_status = %s WHERE internal_status = %s RETURNING asset_guid",
            SPECIFY_SYNCHRONISED,
            SPECIFY_SCHEDULED,
        )
        for row in due:
            await events.record(db, world.clock, row["asset_guid"], events.IN_SPECIFY, user=None)


async def _link(db: Connection, guid: str, links: list[AssetSpecimenBody]) -> None:
    for link in links:
        specimen = await specimens.resolve(db, link)
        kept = {
            "asset_preparation_type",
            "specify_collection_object_attachment_id",
            "asset_detached",
        }
        row = {"asset_guid": guid, "specimen_id": specimen["specimen_id"]}
        row |= link.model_dump(include=kept)
        await insert(db, "asset_specimen", conflict="DO NOTHING", **row)


async def _numbered(db: Connection, body: AssetBody) -> list[dict[str, Any]]:
    issues = []
    for issue in body.issues or []:
        fresh = await number(db, "SELECT nextval('issue_id') AS number")
        named = {"issue_id": issue.issue_id or fresh, "asset_guid": body.asset_guid}
        issues.append(issue.model_dump(mode="json") | named)
    return issues


async def _specimen_views(db: Connection, guid: str) -> list[dict[str, Any]]:
    found = await rows(
        db,
        "SELECT l.*, s.institution, s.collection, s.barcode, s.specimen_pid,"
        " s.preparation_types, s.role_restrictions FROM asset_specimen l"
        " JOIN specimen s USING (specimen_id) WHERE asset_guid = %s ORDER BY asset_specimen_id",
        guid,
    )
    own = (
        "specimen_id",
        "asset_guid",
        "specimen_pid",
        "asset_specimen_id",
        "asset_preparation_type",
        "specify_collection_object_attachment_id",
        "asset_detached",
    )
    return [{key: row[key] for key in own} | {"specimen": specimens.view(row)} for row in found]


async def view(db: Connection, world: World, guid: str) -> dict[str, Any] | None:
    """The full asset as JSON, or None when there is none."""
    row = await load(db, guid)
    if row is None:
        return None
    links = await _specimen_views(db, guid)
    created = await events.latest(db, guid, events.CREATED)
    updated = await events.latest(db, guid, events.UPDATED)
    document = row["document"]
    return {
        **document,
        "asset_specimen": links,
        "multi_specimen": len(links) > 1,
        "internal_status": world.called(row["internal_status"]),
        "httpInfo": None,
        "events": await events.of_asset(db, guid),
        "created_date": iso(row["created_date"]),
        "date_metadata_updated": iso(row["updated_date"]),
        "metadata_created_by": row["created_by"],
        "metadata_updated_by": row["updated_by"],
        "asset_created_by": created and created["username"],
        "asset_updated_by": updated and updated["username"],
        "asset_deleted_by": None,
        "date_asset_created_ars": iso(created["at"]) if created else None,
        "date_asset_updated_ars": iso(updated["at"]) if updated else None,
        "date_asset_deleted_ars": None,
        "audited": False,
        "audited_by": None,
        "date_audited": None,
        "date_pushed_to_specify": None,
        "error_message": row["error_message"],
        "error_timestamp": iso(row["error_timestamp"]),
        "writeAccess": True,
        "synced": row["internal_status"] in _SYNCED,
        "mime_type": [_MIME_TYPES[f] for f in document["file_formats"] if f in _MIME_TYPES],
        "legality_id": row["asset_id"] if document["legality"] else None,
    }


def unsaved_view(body: AssetBody, info: HttpInfo) -> dict[str, Any]:
    """The asset-shaped answer to a creation that stored nothing."""
    document = body.stored()
    links = [link.model_dump(mode="json") for link in body.specimens]
    return {
        **document,
        "asset_specimen": links,
        "multi_specimen": len(links) > 1,
        "internal_status": None,
        "httpInfo": info.seen_by_asset_service(),
        "events": [],
        "created_date": None,
    }


async def status_view(db: Connection, world: World, guid: str) -> dict[str, Any] | None:
    """What a question for the status is answered; a null allocation means no open share."""
    row = await one(
        db,
        "SELECT a.*, s.allocation_mb FROM asset a LEFT JOIN share s USING (asset_guid)"
        " WHERE a.asset_guid = %s",
        guid,
    )
    return row and {
        "asset_guid": row["asset_guid"],
        "parent_guid": row["document"]["parent_guids"],
        "error_timestamp": iso(row["error_timestamp"]),
        "status": world.called(row["internal_status"]),
        "error_message": row["error_message"],
        "share_allocation_mb": row["allocation_mb"],
    }
