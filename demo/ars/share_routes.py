"""The file proxy's share calls."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from demo.ars import assets, shares
from demo.ars.documents import ArsBody
from demo.ars.errors import BadRequest, IllegalAction
from demo.ars.roles import AdminService, AdminServiceDeveloper
from demo.ars.shares import ShareOrder
from demo.ars.world import InWorld

router = APIRouter()


class ShareAsset(ArsBody):
    asset_guid: str
    parent_guids: list[str] | None = None
    institution: str | None = None
    collection: str | None = None


class CreateShare(ArsBody):
    assets: list[ShareAsset] | None = None
    users: list[str] | None = None
    allocation_mb: int = 0


class ChangeAllocation(ArsBody):
    asset_guid: str
    new_allocation_mb: int


def _only_asset(guid: str, body: CreateShare) -> ShareAsset:
    wanted = body.assets or []
    if len(wanted) > 1:
        raise IllegalAction("You may only checkout one asset using this API")
    if wanted and wanted[0].asset_guid != guid:
        raise BadRequest("asset_guid in URL must match asset_guid in POST-message")
    if body.allocation_mb <= 0:
        raise BadRequest("Allocation must be a positive integer")
    if not wanted or not body.users:
        raise BadRequest("You have to provide users and an asset in this call")
    return wanted[0]


@router.post("/shares/assets/{guid}/createShare")
async def create_share(
    guid: str, body: CreateShare, world: InWorld, _: AdminServiceDeveloper
) -> dict[str, Any]:
    """200 even when nothing was opened: the outcome is `http_allocation_status`."""
    wanted = _only_asset(guid, body)
    row = await shares.existing_asset(world, guid, wanted.institution, wanted.collection)
    parents, users = tuple(wanted.parent_guids or ()), tuple(body.users or ())
    order = ShareOrder(assets.place(row), parents, users, body.allocation_mb)
    return asdict(await shares.open_share(world, order))


@router.post("/shares/assets/{guid}/changeAllocation")
async def change_allocation(
    guid: str, body: ChangeAllocation, world: InWorld, _: AdminService
) -> dict[str, Any]:
    """Always 200; the guid that counts is the one in the body."""
    return asdict(await shares.change_allocation(world, body.asset_guid, body.new_allocation_mb))


@router.delete("/shares/assets/{guid}/deleteShare")
async def delete_share(guid: str, world: InWorld, _: AdminServiceDeveloper) -> Response:
    info = await shares.close_share(world, guid)
    return JSONResponse(asdict(info), status_code=info.status_code)


@router.post("/shares/assets/{guid}/synchronize", status_code=204)
async def synchronize(
    guid: str,
    world: InWorld,
    user: AdminServiceDeveloper,
    workstation: str | None = None,
    pipeline: str | None = None,
) -> None:
    """Schedules only; neither `workstation` nor `pipeline` is checked."""
    await shares.synchronise(world, guid, user, pipeline)
