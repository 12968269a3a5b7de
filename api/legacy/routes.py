"""The 14 paths that scripts on the clusters have always called, kept as they were.

Success is 200 and null, an unknown asset 422 and `{"error": text}`. A script names an asset
and a job, never an attempt: it speaks for the job's current one, or for that of its token.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.responses import JSONResponse

from api.callers import Bearer, ScriptCaller, SiteScript
from api.context import Context, Here
from api.legacy import effects
from api.legacy.documents import read_child, readable
from api.legacy.effects import RECORDED, STALE, CallResult
from api.problems import problem
from hpc.protocol import TooLate, job_event, refuse_when_too_late
from schemas.callbacks import (
    LEGACY_PATHS,
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
from track.commands.late import note_late
from track.commands.legacy import (
    BoundJob,
    UnknownAsset,
    UnknownJob,
    bind_job,
    document_of,
    emitting_stage,
    file_names,
    guid_of,
    parent_of,
    stage_named,
    stage_running_module,
)
from track.commands.legacy_sites import was_at
from track.records.inbox import Received, applied, receive

UNKNOWN = {path.kind: path.unknown or "" for path in LEGACY_PATHS}
"""What each path has always said of an asset it does not know."""

ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Taken: applied, recorded, known before, or of an attempt that is over."},
    401: {"description": "No token, and not from a network of `legacy_callbacks`."},
    403: {"description": "The token is that of another job, the network that of another site."},
    413: {"description": "The body is too large."},
    422: {"description": "The asset or job is unknown, or a field cannot be read."},
    503: {"description": "Come back after `Retry-After` seconds; nothing was done."},
}

router = APIRouter(tags=["existing scripts"], responses=ANSWERS)
AssetGuid = Annotated[Word, Query(description="The asset's guid.")]
Effect = Callable[[AsyncConnection, BoundJob], Awaitable[CallResult]]


@dataclass(frozen=True)
class Call:
    """One call: its last word, whose job it is about, and what makes another one the same.

    `brings` names what would be lost if it were not taken.
    """

    kind: str
    guid: str
    which: ColumnElement[bool]
    payload: dict[str, Any]
    says: dict[str, Any] = field(default_factory=dict)
    about: str = ""
    brings: str = ""
    job_optional: bool = False

    def key(self, job_id: int, attempt_id: int) -> str:
        """Equal for the same words about the same attempt."""
        words = json.dumps(self.says, sort_keys=True)
        about = f"{self.kind}|{self.about or self.guid}|{job_id}|{attempt_id}|{words}"
        return f"script|{hashlib.sha256(about.encode()).hexdigest()}"


async def _take(
    here: Context, caller: Bearer | SiteScript | None, call: Call, effect: Effect
) -> JSONResponse:
    """Receive, bind, apply and announce in one transaction; the answer scripts expect."""
    try:
        became = await here.transact(lambda tx: _took(tx, caller, call, effect))
    except UnknownAsset:
        here.metrics.callback(call.kind, "refused")
        return problem(422, UNKNOWN[call.kind])
    except (UnknownJob, MetadataError, ValueError) as error:
        here.metrics.callback(call.kind, "refused")
        return problem(422, f"{UNKNOWN[call.kind].rstrip('.')}: {error}")
    except (TooLate, HTTPException):
        here.metrics.callback(call.kind, "refused")
        raise
    here.note(call.kind, became)
    return JSONResponse(None)


async def _took(
    tx: AsyncConnection, who: Bearer | SiteScript | None, call: Call, effect: Effect
) -> str:
    caller = who if isinstance(who, Bearer) else None
    at = await _bind(tx, caller, call)
    late = isinstance(who, SiteScript) and not await _speaks(tx, who, call, at)
    speaker = at.attempt if at else None
    key = call.key(at.job_id if at else 0, speaker.id if speaker else 0)
    inbox_entry = Received(
        key,
        f"/api/v1/{call.kind}",
        call.kind,
        call.payload,
        asset_guid=call.about or call.guid,
        attempt_id=speaker.id if speaker else None,
    )
    row = await receive(tx, inbox_entry)
    if row is None:
        return "repeated"
    if at is None:
        became = RECORDED
    elif late or (caller is not None and speaker is not None and speaker.fence != caller.fence):
        became = STALE
    else:
        became = await effect(tx, at)
    if became == STALE and caller is not None:
        await refuse_when_too_late(tx, caller.attempt_id)
    if became == STALE and at is not None and call.brings:
        await note_late(tx, at, call.brings)
    event = None
    if became.event is not None and speaker is not None:
        event = await job_event(tx, speaker, became.event)
    await applied(tx, row, became.how, event)
    return became.how


async def _speaks(tx: AsyncConnection, who: SiteScript, call: Call, at: BoundJob | None) -> bool:
    """Whether a site's script speaks for the job as it is: its attempt is at that site.

    One that was there before is late. 403 for an asset that never was.
    """
    if at is not None and at.attempt is not None and at.attempt.site in who.sites:
        return True
    if not await was_at(tx, call.guid, who.sites):
        raise _elsewhere(who, call.guid)
    return at is None or at.attempt is None


def _elsewhere(who: SiteScript, guid: str) -> HTTPException:
    return HTTPException(403, f"{guid} was never given to {', '.join(sorted(who.sites))}")


async def _bind(tx: AsyncConnection, caller: Bearer | None, call: Call) -> BoundJob | None:
    """The job that is spoken for; None where the path needs none and there is none."""
    try:
        at = await bind_job(tx, call.guid, call.which, caller.attempt_id if caller else None)
    except UnknownJob:
        if call.job_optional:
            return None
        raise
    if caller is not None and at.attempt is None:
        raise HTTPException(403, f"the token is not that of job {at.stage} of {call.guid}")
    return at


@router.get("/yo", summary="Is anybody there?")
async def yo() -> str:
    """A greeting, open to all."""
    return "keep out all devils!"


@router.post("/api/v1/queue_job", summary="A job is in the cluster's queue")
async def queue_job(body: JobBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """Note the scheduler's id; -1 says that the queue is full, and the job waits a while."""
    call = Call(
        "queue_job",
        body.guid,
        stage_named(body.job_name),
        body.model_dump(mode="json"),
        {"job_id": body.job_id},
    )
    pause = here.config.back_pressure_s
    return await _take(
        here, caller, call, lambda tx, at: effects.note_queued(tx, at, body.job_id, pause)
    )


@router.post("/api/v1/start_job", summary="A job has started")
async def start_job(body: JobBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """The job runs from now on; another job id than the one known is stale."""
    call = Call(
        "start_job",
        body.guid,
        stage_named(body.job_name),
        body.model_dump(mode="json"),
        {"job_id": body.job_id},
    )
    return await _take(here, caller, call, lambda tx, at: effects.note_started(tx, at, body.job_id))


@router.post("/api/v1/update_asset", summary="A job brings metadata")
async def update_asset(body: UpdateAssetBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """DONE ends the job, ERROR fails it; only fields that the stage may write are written.

    Tags are added to those there are. Any other status is noted and changes nothing.
    """
    payload = body.model_dump(mode="json")
    says = {"status": body.status, "data": body.data}
    brings = f"metadata ({', '.join(sorted(body.data))[:200]})" if body.data else ""
    call = Call("update_asset", body.guid, stage_named(body.job), payload, says, brings=brings)
    return await _take(here, caller, call, lambda tx, at: effects.update_asset(tx, at, body))


@router.post("/api/v1/barcode", summary="The barcode job is done")
async def barcode(body: BarcodeBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """What was read on a sheet: its barcodes, its subject, its object's label."""
    payload = body.model_dump(mode="json")
    brings = f"what was read on the sheet ({', '.join(body.barcodes)[:200] or 'no barcode'})"
    call = Call("barcode", body.guid, stage_named(body.job), payload, payload, brings=brings)
    return await _take(here, caller, call, lambda tx, at: effects.barcode(tx, at, body))


@router.post("/api/v1/failed_job", summary="A job has failed")
async def failed_job(body: FailJobBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """RETRY runs it again, ERROR is final, PAUSED waits for the cluster without using a try."""
    call = Call(
        "failed_job",
        body.guid,
        stage_named(body.job_name),
        body.model_dump(mode="json"),
        {"job_id": body.job_id, "fail_status": body.fail_status},
    )
    pause = here.config.back_pressure_s
    return await _take(here, caller, call, lambda tx, at: effects.failed_job(tx, at, body, pause))


@router.post("/api/v1/asset_ready", summary="An asset's files are on the cluster")
async def asset_ready(asset_guid: AssetGuid, caller: ScriptCaller, here: Here) -> JSONResponse:
    """Noted for the loading job, whose end is what counts."""
    call = _about("asset_ready", asset_guid, stage_running_module("load"))
    return await _take(here, caller, call, effects.ready_there)


@router.post("/api/v1/derivative", summary="A derivative was made")
async def derivative(body: DerivativeBody, caller: ScriptCaller, here: Here) -> JSONResponse:
    """Its metadata, v2.1.0 or v3. It becomes an asset of its own, a child of its parent."""
    try:
        child = read_child(body.document)
    except MetadataError as error:
        here.metrics.callback("derivative", "refused")
        return problem(422, f"derivative fail: {error}")
    says = {"parent": child.parent_guid, "fields": dict(child.fields)}
    document = dict(child.document)
    brings = f"derivative {child.guid}"
    call = Call(
        *("derivative", child.parent_guid, emitting_stage(), document, says),
        about=child.guid,
        brings=brings,
    )
    return await _take(
        here, caller, call, lambda tx, at: effects.register_derivative(tx, at, child)
    )


@router.post("/api/v1/derivative_file_info", summary="A derivative's file")
async def derivative_file_info(
    body: FileInfoBody, caller: ScriptCaller, here: Here
) -> JSONResponse:
    """Its name, CRC-32 and size in whole MB, noted by the job that made it."""
    kind = "derivative_file_info"
    try:
        parent = await _parent(here, body.guid)
    except UnknownAsset:
        return problem(422, UNKNOWN[kind])
    payload = body.model_dump(mode="json")
    brings = f"file {body.name} of {body.guid}"
    call = Call(kind, parent, emitting_stage(), payload, payload, about=body.guid, brings=brings)
    return await _take(here, caller, call, lambda tx, at: effects.file_info(tx, at, body))


async def _parent(here: Context, guid: str) -> str:
    async with here.engine.connect() as connection:
        parent = await parent_of(connection, guid)
    if parent is None:
        raise UnknownAsset(guid)
    return parent


@router.post("/api/v1/derivative_uploaded", summary="A derivative is in its share")
async def derivative_uploaded(
    asset_guid: AssetGuid, caller: ScriptCaller, here: Here
) -> JSONResponse:
    """Ends the derivative's upload job."""
    call = _about(
        "derivative_uploaded", asset_guid, stage_running_module("upload"), job_optional=False
    )
    return await _take(here, caller, call, effects.uploaded)


@router.post("/api/v1/asset_clean_up", summary="An asset is gone from the cluster")
async def asset_clean_up(asset_guid: AssetGuid, caller: ScriptCaller, here: Here) -> JSONResponse:
    """Ends the asset's clean-up job; one that has none, as a derivative, is noted."""
    call = _about("asset_clean_up", asset_guid, stage_running_module("clean"))
    return await _take(here, caller, call, effects.cleaned_up)


@router.post("/api/v1/fail_derivative_creation", summary="A derivative could not be made")
async def fail_derivative_creation(
    body: FailDerivativeBody, caller: ScriptCaller, here: Here
) -> JSONResponse:
    """The parent's metadata says which; the job that makes derivatives goes on."""
    payload = body.model_dump(mode="json")
    brings = f"the word that no derivative was made for {body.ppi} ppi"
    says = {"ppi": body.ppi}
    call = Call(
        *("fail_derivative_creation", body.guid, emitting_stage(), payload, says), brings=brings
    )
    return await _take(
        here, caller, call, lambda tx, at: effects.lost_derivative(tx, at, body.ppi, body.note)
    )


def _about(kind: str, guid: str, which: ColumnElement[bool], *, job_optional: bool = True) -> Call:
    return Call(kind, guid, which, {"asset_guid": guid}, job_optional=job_optional)


@router.get("/api/v1/httplink", summary="Where an asset's image is")
async def httplink(asset_guid: AssetGuid, caller: ScriptCaller, here: Here) -> JSONResponse:
    """`{"link": …}`: the first image of the asset in its open share."""
    try:
        async with here.engine.connect() as connection:
            await _may_read(connection, caller, asset_guid)
            metadata = await document_of(connection, asset_guid)
            names = await file_names(connection, asset_guid)
    except UnknownAsset:
        return problem(422, UNKNOWN["httplink"])
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
    try:
        async with here.engine.connect() as connection:
            await _may_read(connection, caller, asset_guid)
            metadata = await document_of(connection, asset_guid)
    except UnknownAsset:
        return problem(422, UNKNOWN["metadata_asset"])
    return JSONResponse(metadata.canonical() if version == 3 else readable(metadata))


async def _may_read(tx: AsyncConnection, caller: Bearer | SiteScript | None, guid: str) -> None:
    """A token reads its own asset, that asset's parent and its children; else 403.

    A site's script reads what was given to its site, and the children of that.
    """
    if caller is None:
        return
    if isinstance(caller, SiteScript):
        if not await was_at(tx, guid, caller.sites):
            raise _elsewhere(caller, guid)
        return
    own = await guid_of(tx, caller.attempt_id)
    if own is not None and own in (guid, await parent_of(tx, guid)):
        return
    if own is None or await parent_of(tx, own) != guid:
        raise HTTPException(403, f"the token does not let {guid} be read")
