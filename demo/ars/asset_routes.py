"""The asset service's calls that create, read and replace an asset."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from demo.ars import allocation, assets, checks, events, shares
from demo.ars.allocation import HttpInfo
from demo.ars.documents import AssetBody
from demo.ars.errors import BadRequest, IllegalAction, Internal, RefusedByArs
from demo.ars.faults import Point
from demo.ars.folders import AssetPlace
from demo.ars.roles import AdminServiceDeveloper, Anyone, allowed
from demo.ars.shares import ShareOrder
from demo.ars.store import Connection
from demo.ars.tokens import User
from demo.ars.world import InWorld, World

router = APIRouter(prefix="/v1/assetmetadata")

GUID_MISMATCH = "asset_guid in URL must match asset_guid in POST-message"
_NO_PROXY = "Failed to prepare workdir cannot contact file-proxy"


@router.post("")
async def create(
    body: AssetBody, world: InWorld, user: AdminServiceDeveloper, allocation_mb: int = 0
) -> Response:
    """Store the asset and open its share, both or neither.

    The code is that of the share's outcome, so 403 and 400 may carry an asset, not an error.
    """
    async with world.store.transaction() as db:
        await checks.before_lock(db, body)
    if not world.creating.take(body.guid):
        raise IllegalAction(f"Asset {body.guid} is already being processed")
    try:
        async with world.store.transaction() as db:
            await checks.creation(db, body, allocation_mb, user)
    except RefusedByArs:
        world.creating.release(body.guid)
        raise
    info = await _open_first_share(world, body, allocation_mb, user)
    world.creating.release(body.guid)
    if not info.ok:
        return JSONResponse(assets.unsaved_view(body, info), status_code=info.status_code)
    async with world.store.transaction() as db:
        asset = await assets.view(db, world, body.guid)
    assert asset is not None
    return JSONResponse(asset | {"httpInfo": info.seen_by_asset_service()})


async def _open_first_share(
    world: World, body: AssetBody, allocation_mb: int, user: User
) -> HttpInfo:
    """Open the share of a new asset, storing the asset in the same transaction.

    The asset service cannot read the file proxy's refusals: each becomes an internal error,
    and the guid stays locked for its 300 seconds.
    """
    if world.faults.take(Point.FILE_PROXY_UNREACHABLE, body.guid):
        async with world.store.transaction() as db:
            disk = await allocation.disk(db, world)
        return disk.info("UPSTREAM_ERROR", _NO_PROXY)

    async def persist(db: Connection) -> None:
        await assets.create(db, world, body, user)

    if allocation_mb < 0:
        raise Internal("Allocation must be a positive integer")
    place = AssetPlace(body.institution or "", body.collection or "", body.guid)
    order = ShareOrder(place, tuple(body.parents), (user.name,), allocation_mb)
    try:
        return await shares.open_share(world, order, persist)
    except RefusedByArs as error:
        raise Internal(error.message) from error


@router.get("/{guid}")
async def get(guid: str, world: InWorld, user: AdminServiceDeveloper) -> Response:
    async with world.store.transaction() as db:
        asset = await assets.view(db, world, guid)
    if asset is None:
        return Response(status_code=204)
    if not allowed(user, "READ", [role["name"] for role in asset["role_restrictions"]]):
        raise IllegalAction("FORBIDDEN")
    return JSONResponse(asset)


@router.put("/{guid}")
async def update(
    guid: str, body: AssetBody, world: InWorld, user: AdminServiceDeveloper
) -> dict[str, Any]:
    """Replace the asset by `body`; what the body omits is wiped."""
    if body.asset_guid != guid:
        raise BadRequest(GUID_MISMATCH)
    async with world.store.transaction() as db:
        old = await assets.load(db, guid, lock=True)
        if old is None:
            raise BadRequest(f"Asset {guid} does not exist")
        if old["document"]["asset_locked"] and not body.asset_locked:
            raise IllegalAction(
                "Cannot unlock using updateAsset API, use dedicated API for unlocking"
            )
        if old["internal_status"] == assets.SPECIFY_SCHEDULED:
            raise IllegalAction("Asset is synchronising to specify, please await completion")
        await checks.described(db, body)
        await checks.may_write(db, body, user)
        await checks.belongs(db, body, digitiser_required=False)
        await _stays_in_place(db, old, body)
        await assets.replace(db, world, old, body, user)
        await assets.schedule_for_specify(db, world, guid)
        asset = await assets.view(db, world, guid)
    assert asset is not None
    return asset


async def _stays_in_place(db: Connection, old: dict[str, Any], body: AssetBody) -> None:
    """An asset whose files lie under one collection cannot move to another."""
    if (old["institution"], old["collection"]) == (body.institution, body.collection):
        return
    if await allocation.used_bytes(db, body.guid) or await shares.of_asset(db, body.guid):
        raise BadRequest("Institution and collection cannot change once the asset has files")


@router.get("/{guid}/events")
async def list_events(guid: str, world: InWorld, _: Anyone) -> list[dict[str, Any]]:
    async with world.store.transaction() as db:
        if await assets.load(db, guid) is None:
            raise BadRequest("Asset doesnt exist")
        return await events.of_asset(db, guid)
