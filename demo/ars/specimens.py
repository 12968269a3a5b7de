"""Specimens: registered first, referred to by assets later.

The current contract finds one by institution, collection and barcode; v2.6 by its pid.
"""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from demo.ars import lists
from demo.ars.documents import AssetSpecimenBody, SpecimenBody
from demo.ars.errors import BadRequest
from demo.ars.roles import AdminServiceDeveloper, Anyone
from demo.ars.store import Connection, Row, one
from demo.ars.world import InWorld

by_barcode = APIRouter(prefix="/v1/institutions/{institution}/collections/{collection}")
by_pid = APIRouter(prefix="/v1/specimens")


def view(row: Row) -> dict[str, Any]:
    return {
        "institution": row["institution"],
        "collection": row["collection"],
        "barcode": row["barcode"],
        "specimen_pid": row["specimen_pid"],
        "preparation_types": list(row["preparation_types"]),
        "specimen_id": row["specimen_id"],
        "role_restrictions": [{"name": name} for name in row["role_restrictions"]],
    }


async def _by_barcode(
    db: Connection, institution: str, collection: str, barcode: str
) -> Row | None:
    sql = "SELECT * FROM specimen WHERE institution = %s AND collection = %s AND barcode = %s"
    return await one(db, sql, institution, collection, barcode)


async def _by_pid(db: Connection, pid: str) -> Row | None:
    return await one(db, "SELECT * FROM specimen WHERE specimen_pid = %s", pid)


async def resolve(db: Connection, link: AssetSpecimenBody) -> Row:
    """The specimen an asset refers to, or `BadRequest` in the archive's words."""
    wanted = link.specimen or SpecimenBody()
    number = link.specimen_id or wanted.specimen_id
    if number is not None:
        found = await one(db, "SELECT * FROM specimen WHERE specimen_id = %s", number)
    else:
        found = await _by_barcode(
            db, wanted.institution or "", wanted.collection or "", wanted.barcode or ""
        )
    if found is None:
        name = f"{wanted.institution}.{wanted.collection}.{wanted.barcode}"
        raise BadRequest(f"Specimen {name} doesn't exist")
    return found


async def _save(db: Connection, body: SpecimenBody) -> dict[str, Any]:
    for kind in body.preparation_types or []:
        if not await lists.has(db, "preparation_type", kind):
            raise BadRequest(f"{kind} is not a valid preparation_type")
    if not body.preparation_types:
        raise BadRequest("a specimen must have at least one preparation_type")
    if not body.barcode:
        raise BadRequest("barcode cannot be null")
    known = "SELECT 1 AS yes FROM collection WHERE institution = %s AND name = %s"
    if await one(db, known, body.institution, body.collection) is None:
        raise BadRequest("Collection doesnt exist")
    pid = body.specimen_pid or f"{body.institution}.{body.collection}.{body.barcode}"
    taken = await _by_pid(db, pid)
    address = (body.institution, body.collection, body.barcode)
    if taken and (taken["institution"], taken["collection"], taken["barcode"]) != address:
        raise BadRequest(f"specimen_pid {pid} already belongs to another specimen")
    saved = await one(
        db,
        "INSERT INTO specimen (institution, collection, barcode, specimen_pid,"
        " preparation_types, role_restrictions) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (institution, collection, barcode) DO UPDATE SET"
        " specimen_pid = EXCLUDED.specimen_pid, preparation_types = EXCLUDED.preparation_types,"
        " role_restrictions = EXCLUDED.role_restrictions RETURNING *",
        body.institution,
        body.collection,
        body.barcode,
        pid,
        body.preparation_types,
        [restriction.name for restriction in body.role_restrictions],
    )
    assert saved is not None
    return view(saved)


@by_barcode.get("/specimen/{barcode}")
async def get_by_barcode(
    institution: str, collection: str, barcode: str, world: InWorld, _: Anyone
) -> Response:
    async with world.store.transaction() as db:
        found = await _by_barcode(db, institution, collection, barcode)
    return JSONResponse(view(found)) if found else Response(status_code=404)


@by_barcode.put("/specimen/{barcode}")
async def put_by_barcode(
    institution: str,
    collection: str,
    barcode: str,
    body: SpecimenBody,
    world: InWorld,
    _: AdminServiceDeveloper,
) -> dict[str, Any]:
    address = {"institution": institution, "collection": collection, "barcode": barcode}
    async with world.store.transaction() as db:
        return await _save(db, body.model_copy(update=address))


@by_pid.get("/{pid}")
async def get_by_pid(pid: str, world: InWorld, _: Anyone) -> Response:
    async with world.store.transaction() as db:
        found = await _by_pid(db, pid)
    return JSONResponse(view(found)) if found else Response(status_code=404)


@by_pid.put("/{pid}")
async def put_by_pid(
    pid: str, body: SpecimenBody, world: InWorld, _: AdminServiceDeveloper
) -> dict[str, Any]:
    async with world.store.transaction() as db:
        return await _save(db, body.model_copy(update={"specimen_pid": pid}))
