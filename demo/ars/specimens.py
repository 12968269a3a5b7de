"""Specimens: registered first, referred to by assets later.

The current contract finds one by institution, collection and barcode; v2.6 by its pid.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse

from demo.ars.documents import AssetSpecimenBody, SpecimenBody
from demo.ars.errors import BadRequest
from demo.ars.roles import AdminServiceDeveloper, Anyone
from demo.ars.store import Connection, Row, find, insert, is_term
from demo.ars.world import InWorld


@dataclass(frozen=True)
class SpecimenAddress:
    """What a path names a specimen by."""

    institution: str
    collection: str
    barcode: str


InPath = Annotated[SpecimenAddress, Depends()]

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


async def resolve(db: Connection, link: AssetSpecimenBody) -> Row:
    """The specimen an asset refers to, or `BadRequest` in the archive's words."""
    wanted = link.specimen or SpecimenBody()
    number = link.specimen_id or wanted.specimen_id
    if number is not None:
        found = await find(db, "specimen", specimen_id=number)
    else:
        address = wanted.model_dump(include={"institution", "collection", "barcode"})
        found = await find(db, "specimen", **address)
    if found is None:
        name = f"{wanted.institution}.{wanted.collection}.{wanted.barcode}"
        raise BadRequest(f"Specimen {name} doesn't exist")
    return found


async def _save(db: Connection, body: SpecimenBody) -> dict[str, Any]:
    for kind in body.preparation_types or []:
        if not await is_term(db, "preparation_type", kind):
            raise BadRequest(f"{kind} is not a valid preparation_type")
    if not body.preparation_types:
        raise BadRequest("a specimen must have at least one preparation_type")
    if not body.barcode:
        raise BadRequest("barcode cannot be null")
    if not await find(db, "collection", institution=body.institution, name=body.collection):
        raise BadRequest("Collection doesnt exist")
    pid = body.specimen_pid or f"{body.institution}.{body.collection}.{body.barcode}"
    taken = await find(db, "specimen", specimen_pid=pid)
    address = body.model_dump(include={"institution", "collection", "barcode"})
    if taken and not address.items() <= taken.items():
        raise BadRequest(f"specimen_pid {pid} already belongs to another specimen")
    saved = await insert(
        db,
        "specimen",
        **address,
        specimen_pid=pid,
        preparation_types=body.preparation_types,
        role_restrictions=[restriction.name for restriction in body.role_restrictions],
        conflict="(institution, collection, barcode) DO UPDATE SET"
        " specimen_pid = EXCLUDED.specimen_pid, preparation_types = EXCLUDED.preparation_types,"
        " role_restrictions = EXCLUDED.role_restrictions",
    )
    assert saved is not None
    return view(saved)


@by_barcode.get("/specimen/{barcode}")
async def get_by_barcode(address: InPath, world: InWorld, _: Anyone) -> Response:
    async with world.store.transaction() as db:
        found = await find(db, "specimen", **asdict(address))
    return JSONResponse(view(found)) if found else Response(status_code=404)


@by_barcode.put("/specimen/{barcode}")
async def put_by_barcode(
    address: InPath, body: SpecimenBody, world: InWorld, _: AdminServiceDeveloper
) -> dict[str, Any]:
    async with world.store.transaction() as db:
        return await _save(db, body.model_copy(update=asdict(address)))


@by_pid.get("/{pid}")
async def get_by_pid(pid: str, world: InWorld, _: Anyone) -> Response:
    async with world.store.transaction() as db:
        found = await find(db, "specimen", specimen_pid=pid)
    return JSONResponse(view(found)) if found else Response(status_code=404)


@by_pid.put("/{pid}")
async def put_by_pid(
    pid: str, body: SpecimenBody, world: InWorld, _: AdminServiceDeveloper
) -> dict[str, Any]:
    async with world.store.transaction() as db:
        return await _save(db, body.model_copy(update={"specimen_pid": pid}))
