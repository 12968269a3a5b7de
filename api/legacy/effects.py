"""Translates each call of an existing script into the protocol's messages.

A translation is the call, as the inbox keeps it, and the protocol's message that it means.
"""

import mimetypes
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from api.legacy.documents import DerivativeDocument
from hpc import protocol
from hpc.callers import QUEUE_FULL, RunnerCaller, ScriptCall, SiteScript
from hpc.protocol import AttemptReply
from schemas.attempts import Result, WorkDone, WorkFailed
from schemas.callbacks import (
    BarcodeBody,
    FailDerivativeBody,
    FailJobBody,
    FileInfoBody,
    JobBody,
    UpdateAssetBody,
)
from schemas.files import MB, FileFacts
from track.commands.legacy import emitting_stage, stage_named, stage_running_module

Message = Callable[..., Awaitable[AttemptReply]]
Translation = tuple[ScriptCall, Message]
Who = RunnerCaller | SiteScript | None
Fields = dict[str, Any]

PAUSE_S = 60.0
"""How long a job waits before it is given again to a cluster whose queue was full."""

NOTHING = WorkDone(result=Result())


def queue_job(who: Who, body: JobBody) -> Translation:
    """The scheduler's id. A full queue sends a job that has not started away for a while."""
    call = _of_job(who, "queue_job", body)
    if body.job_id != QUEUE_FULL:
        return call, partial(protocol.submitted, native_id=body.job_id)
    why = "the cluster's queue is full"
    message = partial(protocol.pause, why=why, pause_s=PAUSE_S, unsubmitted=True)
    return replace(call, native_id=""), message


def start_job(who: Who, body: JobBody) -> Translation:
    """The job has started: a script does not ask, so nothing can be refused it."""
    return _of_job(who, "start_job", body), protocol.start


def failed_job(who: Who, body: FailJobBody) -> Translation:
    """RETRY uses a try, ERROR is final, PAUSED waits without using one, any other is noted."""
    call = _of_job(who, "failed_job", body, fail_status=body.fail_status)
    why = body.hpc_message or "failed without a word"
    if body.hpc_exception:
        why = f"{why}: {body.hpc_exception}"
    match body.fail_status:
        case "RETRY" | "ERROR" as status:
            return call, partial(protocol.fail, body=WorkFailed(fail_status=status, message=why))
        case "PAUSED":
            busy = f"the cluster is busy: {why}"
            return call, partial(protocol.pause, why=busy, pause_s=PAUSE_S)
    return call, protocol.note


def update_asset(who: Who, body: UpdateAssetBody) -> Translation:
    """DONE brings metadata and ends the job; what comes after DONE may only add metadata."""
    payload = body.model_dump(mode="json")
    says = {"status": body.status, "data": body.data}
    brings = f"metadata ({', '.join(sorted(body.data))[:200]})" if body.data else ""
    which = stage_named(body.job)
    call = ScriptCall(who, "update_asset", body.guid, which, payload, says, brings=brings)
    return call, _outcome(body.status, bool(body.data), lambda: Result(metadata=body.data))


def barcode(who: Who, body: BarcodeBody) -> Translation:
    """DONE brings the codes of a sheet and ends the job. An unknown subject is taken too.

    A script may say DONE first (`update_asset`) and bring the codes afterwards.
    """
    payload = body.model_dump(mode="json")
    brings = f"what was read on the sheet ({', '.join(body.barcodes)[:200] or 'no barcode'})"
    which = stage_named(body.job)
    call = ScriptCall(who, "barcode", body.guid, which, payload, payload, brings=brings)
    return call, _outcome(body.status, True, lambda: Result(barcode=body.as_barcode()))


def _outcome(status: str, brings: bool, result: Callable[[], Result]) -> Message:
    """DONE and ERROR end a job; any other status ends nothing, and its data is not taken."""
    match status:
        case "DONE":
            return partial(protocol.complete, body=WorkDone(result=result()), adds=True)
        case "ERROR":
            failed = WorkFailed(fail_status="ERROR", message="the script reported ERROR")
            return partial(protocol.fail, body=failed)
    missed = f"what came with status {status[:40]} is not taken, but with DONE"
    return partial(protocol.note, warning=missed if brings else "")


def asset_ready(who: Who, guid: str) -> Translation:
    """The asset's files are on the cluster: noted only."""
    return _about(who, "asset_ready", guid, "load"), protocol.note


def derivative_uploaded(who: Who, guid: str) -> Translation:
    """The derivative's files, all of them, are in its share: its upload is done."""
    call = _about(who, "derivative_uploaded", guid, "upload", job_optional=False)
    return call, partial(protocol.complete, body=WorkDone(result=Result(uploaded=())))


def asset_clean_up(who: Who, guid: str) -> Translation:
    """The site holds nothing of the asset any more."""
    return _about(who, "asset_clean_up", guid, "clean"), partial(protocol.complete, body=NOTHING)


def derivative(who: Who, child: DerivativeDocument) -> Translation:
    """A child of the asset whose emitting stage made it."""
    says = {"parent": child.parent_guid, "fields": dict(child.fields)}
    document, about, brings = dict(child.document), child.guid, f"derivative {child.guid}"
    call = _of_parent(who, "derivative", child.parent_guid, document, says, about, brings)
    return call, partial(protocol.derivative, fields=child.fields, document=document)


def derivative_file_info(who: Who, parent: str, body: FileInfoBody) -> Translation:
    """A derivative's file; its size is given in MB, rounded up."""
    payload, brings = body.model_dump(mode="json"), f"file {body.name} of {body.guid}"
    call = _of_parent(who, "derivative_file_info", parent, payload, payload, body.guid, brings)
    mime = mimetypes.guess_type(body.name)[0] or "application/octet-stream"
    facts = FileFacts(name=body.name, crc32=body.check_sum, size_bytes=body.file_size * MB)
    return call, partial(protocol.derivative_file, facts=facts, mime_type=mime)


def fail_derivative_creation(who: Who, body: FailDerivativeBody) -> Translation:
    """A derivative could not be made; the job that makes them goes on."""
    payload, says = body.model_dump(mode="json"), {"ppi": body.ppi}
    brings = f"the word that no derivative was made for {body.ppi} ppi"
    call = _of_parent(who, "fail_derivative_creation", body.guid, payload, says, "", brings)
    return call, partial(protocol.derivative_lost, ppi=body.ppi, note=body.note)


def _of_parent(
    who: Who, kind: str, guid: str, payload: Fields, says: Fields, about: str, brings: str
) -> ScriptCall:
    return ScriptCall(who, kind, guid, emitting_stage(), payload, says, about, brings)


def _of_job(who: Who, kind: str, body: JobBody, **says: str) -> ScriptCall:
    payload, says = body.model_dump(mode="json"), {"job_id": body.job_id} | says
    which = stage_named(body.job_name)
    return ScriptCall(who, kind, body.guid, which, payload, says, native_id=body.job_id)


def _about(who: Who, kind: str, guid: str, module: str, *, job_optional: bool = True) -> ScriptCall:
    which = stage_running_module(module)
    return ScriptCall(who, kind, guid, which, {"asset_guid": guid}, job_optional=job_optional)
