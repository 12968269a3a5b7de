"""The file proxy's file calls: upload, list, download from share or ERDA, delete, file info."""

import asyncio
import mimetypes
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from starlette.requests import ClientDisconnect

from demo.ars import assets, files
from demo.ars.errors import IllegalAction
from demo.ars.files import Upload
from demo.ars.folders import AssetPlace, relative_files, safe_parts
from demo.ars.roles import AdminServiceDeveloper, Anyone, AnyRole, MayDelete, Visitor, allowed
from demo.ars.store import Row
from demo.ars.tokens import User
from demo.ars.world import InWorld

router = APIRouter()

Place = Annotated[AssetPlace, Depends()]
"""The asset that a path names by institution, collection and guid."""


@router.put("/assetfiles/{institution}/{collection}/{guid}/{path:path}")
async def upload_file(
    place: Place,
    path: str,
    request: Request,
    world: InWorld,
    _: AdminServiceDeveloper,
    crc: int = 0,
    file_size_mb: int = 0,
) -> Response:
    """Raw bytes in; 507 with both checksums when they differ."""
    if not path:
        return Response(status_code=405)
    upload = Upload(
        place=place,
        name=path,
        crc=crc,
        size_mb=file_size_mb,
        mime_type=request.headers.get("content-type") or mimetypes.guess_type(path)[0],
        has_thumbnail=request.query_params.get("has-thumbnail", "").lower() == "true",
    )
    files.check(upload)
    try:
        actual = await files.receive(world, upload, request.stream())
    except ClientDisconnect:
        return Response(status_code=400)
    code = 200 if actual == crc else HTTPStatus.INSUFFICIENT_STORAGE.value
    body = {"expected_crc": crc, "actual_crc": actual, "responseCode": code}
    return JSONResponse(body, status_code=code)


@router.get("/assetfiles/listfiles/{guid}")
async def list_in_erda(guid: str, world: InWorld, _: Anyone) -> list[str]:
    """Names of the files in ERDA, inside the asset's folder.

    The archive's `includethumbs` changes nothing here: the stand-in makes no thumbnails.
    """
    async with world.store.transaction() as db:
        row = await assets.load(db, guid)
    if row is None:
        return []
    return await asyncio.to_thread(relative_files, world.folders.erda(assets.place(row)))


@router.get("/assetfiles/{institution}/{collection}/{guid}/{path:path}")
async def read_share(place: Place, path: str, world: InWorld, user: Anyone) -> Response:
    """The share's list (absolute addresses) for an empty path, else one of its files."""
    folder = world.folders.share(place)
    async with world.store.transaction() as db:
        _may_read(await assets.load(db, place.guid), user)
    if not path:
        names = await asyncio.to_thread(relative_files, folder)
        base = f"{world.config.base_url}/file_proxy/api"
        return JSONResponse([base + quote(place.http_path + name) for name in names])
    return _file(folder.joinpath(*safe_parts(path)))


@router.get("/files/assets/{institution}/{collection}/{guid}/{path:path}")
async def read_erda(place: Place, path: str, world: InWorld, user: Visitor) -> Response:
    """A file as ERDA has it, `Range` honoured; anonymous visitors see public assets only."""
    target = world.folders.erda(place).joinpath(*safe_parts(path))
    async with world.store.transaction() as db:
        row = await assets.load(db, place.guid)
        known = await files.of_asset(db, place.guid)
    if user is not None:
        _may_read(row, user)
    elif not (row and row["document"]["make_public"]):
        detail = f"{world.config.base_url}/detailed-view/{quote(place.guid)}"
        return Response(status_code=307, headers={"Location": detail})
    if any(f["path"] == place.row_path(path) and f["sync_status"] == "NEW_FILE" for f in known):
        raise IllegalAction("File is being edited")
    return _file(target)


@router.delete("/assetfiles/{institution}/{collection}/{guid}/{path:path}", status_code=204)
async def delete_file(place: Place, path: str, world: InWorld, _: MayDelete) -> Response:
    if path:
        safe_parts(path)
    deleted = await files.delete(world, place, path)
    return Response(status_code=204 if deleted else 404)


@router.get("/assets/{guid}/files")
async def file_info(guid: str, world: InWorld, _: AnyRole) -> list[dict[str, Any]]:
    async with world.store.transaction() as db:
        return [files.info(row) for row in await files.of_asset(db, guid)]


def _may_read(row: Row | None, user: User) -> None:
    roles = row["document"]["role_restrictions"] if row else []
    if not allowed(user, "READ", [role["name"] for role in roles]):
        raise IllegalAction("User does not have access to this asset")


def _file(path: Path) -> Response:
    if not path.is_file():
        return Response(status_code=404)
    return FileResponse(path, filename=path.name)
