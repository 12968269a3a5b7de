"""The 14 paths that scripts on the clusters have always called, kept as they were.

Success is 200 and null, an unknown asset 422 and `{"error": text}`. A script names an asset
and a job, never an attempt: the call is about the job's current one, or that of its token.
"""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import JSONResponse

from api.callers import ScriptCaller
from api.context import Context, Here
from api.legacy import effects
from api.legacy.documents import read_child, readable
from api.problems import problem
from hpc.callers import NotTheirs, ScriptCall, SiteScript, check_was_at
from hpc.protocol import TooLate
from schemas.callbacks import (
    BarcodeBody,
    DerivativeBody,
    FailDerivativeBody,
    FailJobBody,
    FileInfoBody,
    JobBody,
    UpdateAssetBody,
)
from schemas.metadata.document import MetadataError
from schemas.storable import Word
from track.commands.grants import file_url
from track.commands.legacy import (
    UnknownAsset,
    UnknownJob,
    document_of,
    file_names,
    guid_of,
    parent_of,
)

UNKNOWN = {
    "derivative": "derivative fail.",
    "update_asset": "asset not found",
    "barcode": "asset not found",
    "queue_job": "asset not found",
    "start_job": "asset not found",
    "failed_job": "asset not found.",
    "asset_ready": "asset not found",
    "httplink": "asset not found.",
    "metadata_asset": "asset not found",
    "derivative_uploaded": "asset not found for file uploaded",
    "derivative_file_info": "asset not found for file info",
    "asset_clean_up": "asset not found",
    "fail_derivative_creation": "asset not found.",
}
"""Each path's error text for an unknown asset, as it has always been."""

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Taken: applied, recorded, known before, or of an attempt that is over."},
    401: {"description": "No token, and not from a network of `legacy_callbacks`."},
    403: {"description": "The token is that of another job, the network that of another site."},
    413: {"description": "The body is too large."},
    422: {"description": "The asset or job is unknown, or a field cannot be read."},
    503: {"description": "Come back after `Retry-After` seconds; nothing was done."},
}


async def unknown_asset(request: Request, _: Exception) -> JSONResponse:
    """The answer of a path for an unknown asset."""
    return problem(422, UNKNOWN[request.url.path.rpartition("/")[2]])


router = APIRouter(tags=["existing scripts"], responses=ANSWERS)
AssetGuid = Annotated[Word, Query(description="The asset's guid.")]


async def _take(here: Context, call: ScriptCall, message: effects.Message) -> JSONResponse:
    """Run a message's transaction, and count what became of it; the answer scripts expect."""
    try:
        reply = await here.transact(partial(message, caller=call))
    except (UnknownAsset, UnknownJob, TooLate, NotTheirs, ValueError) as error:
        here.metrics.callback(call.kind, "refused")
        if isinstance(error, UnknownJob | ValueError):
            return problem(422, f"{UNKNOWN[call.kind].rstrip('.')}: {error}")
        raise
    here.note(call.kind, reply.applied, reply.about or {"guid": call.guid})
    return JSONResponse(None)


@router.get("/yo", summary="Is anybody there?")
async def yo() -> str:
    """A greeting, open to all."""
    return "keep out all devils!"


@router.post("/api/v1/queue_job", summary="A job is in the cluster's queue")
async def queue_job(body: JobBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """Note the scheduler's id; -1 says that the queue is full, and the job waits a while."""
    return await _take(here, *effects.queue_job(caller, body))


@router.post("/api/v1/start_job", summary="A job has started")
async def start_job(body: JobBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """The job runs from now on; another job id than the one known is stale."""
    return await _take(here, *effects.start_job(caller, body))


@router.post("/api/v1/update_asset", summary="A job brings metadata")
async def update_asset(body: UpdateAssetBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """DONE ends the job, ERROR fails it; only fields that the stage may write are written.

    Tags are added to those there are. Any other status is noted and changes nothing.
    """
    return await _take(here, *effects.update_asset(caller, body))


@router.post("/api/v1/barcode", summary="The barcode job is done")
async def barcode(body: BarcodeBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """What was read on a sheet: its barcodes, its subject, its object's label."""
    return await _take(here, *effects.barcode(caller, body))


@router.post("/api/v1/failed_job", summary="A job has failed")
async def failed_job(body: FailJobBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """RETRY runs it again, ERROR is final, PAUSED waits for the cluster without using a try."""
    return await _take(here, *effects.failed_job(caller, body))


@router.post("/api/v1/asset_ready", summary="An asset's files are on the cluster")
async def asset_ready(asset_guid: AssetGuid, caller: ScriptCaller, here: Here) -> JSONResponse:
    """Noted for the loading job, whose end is what counts."""
    return await _take(here, *effects.asset_ready(caller, asset_guid))


@router.post("/api/v1/derivative", summary="A derivative was made")
async def derivative(body: DerivativeBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """Its metadata, v2.1.0 or v3. It becomes an asset of its own, a child of its parent."""
    try:
        child = read_child(body.root)
    except MetadataError as error:
        here.metrics.callback("derivative", "refused")
        return problem(422, f"derivative fail: {error}")
    return await _take(here, *effects.derivative(caller, child))


@router.post("/api/v1/derivative_file_info", summary="A derivative's file")
async def derivative_file_info(
    body: FileInfoBody, caller: ScriptCaller, here: Here
) -> JSONResponse:
    """Its name, CRC-32 and size in whole MB, noted by the job that made it."""
    async with here.engine.connect() as connection:
        parent = await parent_of(connection, body.guid)
    if parent is None:
        raise UnknownAsset(body.guid)
    return await _take(here, *effects.derivative_file_info(caller, parent, body))


@router.post("/api/v1/derivative_uploaded", summary="A derivative is in its share")
async def derivative_uploaded(
    asset_guid: AssetGuid, caller: ScriptCaller, here: Here
) -> JSONResponse:
    """Ends the derivative's upload job."""
    return await _take(here, *effects.derivative_uploaded(caller, asset_guid))


@router.post("/api/v1/asset_clean_up", summary="An asset is gone from the cluster")
async def asset_clean_up(asset_guid: AssetGuid, caller: ScriptCaller, here: Here) -> JSONResponse:
    """Ends the asset's clean-up job; one that has none, as a derivative, is noted."""
    return await _take(here, *effects.asset_clean_up(caller, asset_guid))


@router.post("/api/v1/fail_derivative_creation", summary="A derivative could not be made")
async def fail_derivative_creation(
    body: FailDerivativeBody, caller: ScriptCaller, here: Here
) -> JSONResponse:
    """The parent's metadata says which; the job that makes derivatives goes on."""
    return await _take(here, *effects.fail_derivative_creation(caller, body))


@router.get("/api/v1/httplink", summary="Where an asset's image is")
async def httplink(asset_guid: AssetGuid, caller: ScriptCaller, here: Here) -> JSONResponse:
    """`{"link": …}`: the first image of the asset in its open share."""
    async with here.engine.connect() as connection:
        await _may_read(connection, caller, asset_guid)
        metadata = await document_of(connection, asset_guid)
        names = await file_names(connection, asset_guid)
    if not names:
        return problem(422, f"asset {asset_guid} has no file yet")
    return JSONResponse({"link": file_url(here.config.file_proxy, metadata, names[0])})


@router.get("/api/v1/metadata_asset", summary="An asset's metadata")
async def metadata_asset(
    asset_guid: AssetGuid,
    caller: ScriptCaller,
    here: Here,
    version: Annotated[
        int | None, Query(ge=2, le=3, description="3 for the canonical document alone.")
    ] = None,
) -> JSONResponse:
    """The document in v2.1.0's names and types, with `_id`, and v3's additions beside them."""
    async with here.engine.connect() as connection:
        await _may_read(connection, caller, asset_guid)
        metadata = await document_of(connection, asset_guid)
    return JSONResponse(metadata.canonical() if version == 3 else readable(metadata))


async def _may_read(tx: AsyncConnection, caller: effects.Who, guid: str) -> None:
    """A token reads its own asset, that asset's parent and its children; else 403.

    A site's script reads what was given to its site, and the children of that.
    """
    if caller is None:
        return
    if isinstance(caller, SiteScript):
        await check_was_at(tx, caller, guid)
        return
    own = await guid_of(tx, caller.attempt_id)
    if own is not None and own in (guid, await parent_of(tx, guid)):
        return
    if own is None or await parent_of(tx, own) != guid:
        raise NotTheirs(f"the token does not let {guid} be read")
