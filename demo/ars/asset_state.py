"""The asset service's calls about the state of an asset, and of a workstation."""

from typing import Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from psycopg.types.json import Jsonb
from pydantic import BaseModel

from demo.ars import assets
from demo.ars.asset_routes import GUID_MISMATCH
from demo.ars.documents import ArsBody
from demo.ars.errors import BadRequest
from demo.ars.roles import AdminService, AdminServiceDeveloper, AnyRole
from demo.ars.store import Connection, Row, run
from demo.ars.world import InWorld

router = APIRouter(prefix="/v1")

_SETTABLE = (assets.FAILED, assets.SPECIFY_FAILED, assets.RECEIVED)


class MinimalAsset(ArsBody):
    asset_guid: str | None = None


class Completion(ArsBody):
    asset_guid: str | None = None
    minimalAsset: MinimalAsset | None = None
    pipeline: str | None = None
    workstation: str | None = None
    digitiser: str | None = None


class WorkstationUpdate(BaseModel):
    status: Literal["IN_SERVICE", "OUT_OF_SERVICE"]


async def _existing(db: Connection, guid: str) -> Row:
    row = await assets.load(db, guid, lock=True)
    if row is None:
        raise BadRequest("Asset doesnt exist!")
    return row


@router.get("/assets/status/{guid}")
async def status(guid: str, world: InWorld, _: AnyRole) -> Response:
    async with world.store.transaction() as db:
        info = await assets.status_view(db, world, guid)
    return JSONResponse(info) if info else Response(status_code=404)


@router.put("/assetmetadata/{guid}/unlock", status_code=204)
async def unlock(guid: str, world: InWorld, _: AdminService) -> None:
    async with world.store.transaction() as db:
        await _existing(db, guid)
        sql = "UPDATE asset SET document = document || %s WHERE asset_guid = %s"
        await run(db, sql, Jsonb({"asset_locked": False}), guid)


@router.put("/assetmetadata/{guid}/setstatus", status_code=204)
async def set_status(
    guid: str,
    world: InWorld,
    _: AdminService,
    newStatus: str | None = None,
    errorMessage: str | None = None,
) -> None:
    if newStatus not in _SETTABLE:
        raise BadRequest(f"Invalid status: {newStatus}")
    async with world.store.transaction() as db:
        await _existing(db, guid)
        await assets.set_status(db, world, guid, newStatus, errorMessage)


@router.post("/assetmetadata/{guid}/complete", status_code=204)
async def complete(
    guid: str, world: InWorld, _: AdminServiceDeveloper, body: Completion | None = None
) -> None:
    if body is None:
        raise BadRequest("POST request requires a body")
    if body.asset_guid is None and world.config.is_current:
        raise BadRequest("asset_guid is required")
    minimal = body.minimalAsset.asset_guid if body.minimalAsset else None
    if (body.asset_guid or minimal or guid) != guid:
        raise BadRequest(GUID_MISMATCH)
    async with world.store.transaction() as db:
        await _existing(db, guid)
        await assets.set_status(db, world, guid, assets.SYNCHRONISED)


@router.put("/institutions/{institution}/workstations/{name}", status_code=204)
async def update_workstation(
    institution: str, name: str, body: WorkstationUpdate, world: InWorld, _: AdminService
) -> None:
    """Put a workstation in or out of service: no asset is created from one that is out."""
    async with world.store.transaction() as db:
        sql = "UPDATE workstation SET status = %s WHERE institution = %s AND name = %s"
        if await run(db, sql, body.status, institution, name) == 0:
            raise BadRequest("Workstation does not exist")
