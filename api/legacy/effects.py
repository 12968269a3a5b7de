"""What each call of an existing script does to the job it speaks for.

An effect is given the job under its lock and says what became of the call: applied, with
what is to be announced; recorded, for it changes nothing; or stale, for its attempt is over.
"""

import mimetypes
from dataclasses import dataclass

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.legacy.documents import Child
from hpc.protocol import give_up
from schemas.callbacks import BarcodeBody, FailJobBody, FileFacts, FileInfoBody, UpdateAssetBody
from schemas.metadata.document import MetadataError
from track.commands.late import note_late
from track.commands.legacy import BoundJob, count_children, file_names, note_missing, ppi_of, warn
from track.commands.results import (
    apply_barcode,
    apply_uploaded,
    declare,
    note_child_file,
    register_child,
    stage_writes,
    unwritten,
)
from track.commands.specimen_codes import name_documented
from track.jobs.attempts import Attempt, close_attempt
from track.jobs.moves import Guard, move
from track.jobs.resolve import downstream, resolve
from track.jobs.verbs import apply_rules, mark_returned, try_again
from track.records.documents import change_document
from track.records.wake import wake
from track.schema.states import State
from track.schema.tables import attempt

QUEUE_FULL = "-1"
"""The job id a script reports when its cluster took no job."""

MB = 1_000_000
ESTIMATED_MB = {"tif": 400, "jpeg": 20}
"""A derivative's size until its file is known; deliberately too large."""


@dataclass(frozen=True)
class CallResult:
    """What became of a call, and the `hpc.job.<event>` that announces it."""

    how: str
    event: str | None = None


STALE = CallResult("stale")
RECORDED = CallResult("recorded")


def _actor(speaker: Attempt) -> str:
    return f"attempt:{speaker.id}"


async def note_queued(tx: AsyncConnection, at: BoundJob, job_id: str, pause_s: float) -> CallResult:
    """Note the scheduler's id. A full queue sends a job that has not started away for a while."""
    if not at.open or at.attempt is None:
        return STALE
    if job_id == QUEUE_FULL:
        if at.state != State.QUEUED or at.native_ids:
            return STALE
        return await _come_back_later(tx, at.attempt, "the cluster's queue is full", pause_s)
    if not at.knows(job_id):
        return STALE
    mine = update(attempt).where(attempt.c.id == at.attempt.id)
    values = {
        "external_id": func.coalesce(attempt.c.external_id, job_id),
        "submitted_at": func.coalesce(attempt.c.submitted_at, func.now()),
    }
    await tx.execute(mine.values(values))
    return CallResult("applied", "queued")


async def note_started(tx: AsyncConnection, at: BoundJob, job_id: str) -> CallResult:
    """Grant the start to this job id. A script does not ask, so nothing can be refused it."""
    if not at.open or at.attempt is None or not at.knows(job_id):
        return STALE
    if at.state != State.QUEUED:
        return RECORDED
    mine = update(attempt).where(attempt.c.id == at.attempt.id)
    await tx.execute(mine.values(started_by=job_id, started_at=func.now()))
    await move(
        tx,
        at.job_id,
        State.QUEUED,
        State.RUNNING,
        actor=_actor(at.attempt),
        why=f"started by {job_id}",
        guard=Guard(attempt_id=at.attempt.id),
        warning=None,
    )
    return CallResult("applied", "started")


async def update_asset(tx: AsyncConnection, at: BoundJob, body: UpdateAssetBody) -> CallResult:
    """DONE brings metadata and the job back; what comes after DONE may only add metadata."""
    if body.status == "ERROR":
        return await _failed(tx, at, "the script reported ERROR")
    if at.attempt is None or not (at.open or at.returned):
        return STALE
    if body.status != "DONE":
        return await _noted(tx, at, body.status, bool(body.data))
    writes = await stage_writes(tx, at.stage_id)
    try:
        changed = await change_document(
            tx, at.guid, body.data, writes=writes, actor=_actor(at.attempt)
        )
    except MetadataError as error:
        return await _unusable(tx, at, f"its metadata cannot be taken: {error}")
    told = unwritten(body.data, writes)
    if "barcode" in body.data:
        told += await name_documented(tx, at.guid, actor=_actor(at.attempt))
    for warning in told:
        await warn(tx, at.job_id, warning)
    if at.open:
        return await _came_back(tx, at, at.attempt)
    return await _added(tx, at, at.attempt) if changed else RECORDED


async def barcode(tx: AsyncConnection, at: BoundJob, body: BarcodeBody) -> CallResult:
    """DONE brings the codes of a sheet, and the job back. A subject nobody knows is taken too.

    A script may say DONE first (`update_asset`) and bring the codes afterwards.
    """
    if body.status == "ERROR":
        return await _failed(tx, at, "the script reported ERROR")
    if at.attempt is None or not (at.open or at.returned):
        return STALE
    if body.status != "DONE":
        return await _noted(tx, at, body.status, brings=True)
    try:
        told = await apply_barcode(
            tx, at.guid, body.as_barcode(), actor=_actor(at.attempt), stage_id=at.stage_id
        )
    except MetadataError as error:
        return await _unusable(tx, at, f"its barcodes cannot be taken: {error}")
    for warning in told:
        await warn(tx, at.job_id, warning)
    if at.open:
        return await _came_back(tx, at, at.attempt)
    return await _added(tx, at, at.attempt)


async def _noted(tx: AsyncConnection, at: BoundJob, status: str, brings: bool) -> CallResult:
    """A status that ends nothing; what comes with it is not taken, and the job says so."""
    if brings:
        await warn(
            tx, at.job_id, f"what came with status {status[:40]} is not taken, but with DONE"
        )
    return RECORDED


async def _added(tx: AsyncConnection, at: BoundJob, speaker: Attempt) -> CallResult:
    """What came after its job did: the rules that leave stages out are asked again."""
    await apply_rules(tx, at.job_id, actor=_actor(speaker))
    return CallResult("applied")


async def _unusable(tx: AsyncConnection, at: BoundJob, why: str) -> CallResult:
    """What cannot be read fails its job; one that has come back warns."""
    if at.open:
        return await _failed(tx, at, why)
    await warn(tx, at.job_id, why)
    return RECORDED


async def failed_job(
    tx: AsyncConnection, at: BoundJob, body: FailJobBody, pause_s: float
) -> CallResult:
    """RETRY uses a try, ERROR is final, PAUSED waits without using one."""
    why = body.hpc_message or "failed without a word"
    if body.hpc_exception:
        why = f"{why}: {body.hpc_exception}"
    if not at.open or at.attempt is None or not at.knows(body.job_id):
        if at.returned and at.knows(body.job_id) and body.fail_status in ("ERROR", "RETRY"):
            await note_late(tx, at, f"its failure ({why[:200]})")
        return STALE
    await _note_id(tx, at.attempt, body.job_id)
    if body.fail_status == "ERROR":
        return await _failed(tx, at, why)
    if body.fail_status == "PAUSED":
        return await _come_back_later(tx, at.attempt, f"the cluster is busy: {why}", pause_s)
    if body.fail_status != "RETRY":
        return RECORDED
    await close_attempt(tx, at.attempt.id, "failed", finished_at=func.now(), message=why)
    guard = Guard(attempt_id=at.attempt.id)
    actor = _actor(at.attempt)
    await try_again(tx, at.job_id, actor=actor, why=why, uses_try=True, guard=guard)
    return CallResult("applied", "failed")


async def _note_id(tx: AsyncConnection, speaker: Attempt, job_id: str) -> None:
    """Keep the first id that was told, so that a later attempt knows it for another's."""
    unknown = attempt.c.external_id.is_(None) & attempt.c.started_by.is_(None)
    if job_id != QUEUE_FULL:
        mine = update(attempt).where(attempt.c.id == speaker.id, unknown)
        await tx.execute(mine.values(external_id=job_id))


async def register_derivative(tx: AsyncConnection, at: BoundJob, child: Child) -> CallResult:
    """Enter a derivative as a child of the asset whose emitting stage made it.

    Raises ValueError for the guid of another asset.
    """
    if at.attempt is None or at.emits is None or not (at.open or at.returned):
        return STALE
    await register_child(
        tx,
        at.guid,
        child.guid,
        emits=at.emits,
        ppi=ppi_of(at.guid, child.guid, at.params),
        fields=child.fields,
        size_mb=ESTIMATED_MB.get(str(child.fields.get("file_format")), 1),
        actor=_actor(at.attempt),
        document=child.document,
    )
    if at.returned:
        # It came after the job's end: what waits for the children has one more to wait for.
        await declare(tx, at.job_id, await count_children(tx, at.guid))
        await wake(tx, await resolve(tx, await downstream(tx, [at.job_id])))
    return CallResult("applied")


async def file_info(tx: AsyncConnection, at: BoundJob, body: FileInfoBody) -> CallResult:
    """Note a derivative's file; again, it is the same file."""
    if at.attempt is None or not (at.open or at.returned):
        return STALE
    mime = mimetypes.guess_type(body.name)[0] or "application/octet-stream"
    facts = FileFacts(name=body.name, crc32=body.check_sum, size_bytes=body.file_size * MB)
    await note_child_file(
        tx, body.guid, facts, mime_type=mime, site=at.attempt.site, actor=_actor(at.attempt)
    )
    return CallResult("applied")


async def uploaded(tx: AsyncConnection, at: BoundJob) -> CallResult:
    """The derivative's files are in its share, and its upload is back."""
    if not at.open or at.attempt is None:
        return STALE
    await apply_uploaded(tx, at.guid, await file_names(tx, at.guid))
    return await _came_back(tx, at, at.attempt)


async def cleaned_up(tx: AsyncConnection, at: BoundJob) -> CallResult:
    """The site holds nothing of the asset any more."""
    if not at.open or at.attempt is None:
        return STALE
    return await _came_back(tx, at, at.attempt)


async def ready_there(tx: AsyncConnection, at: BoundJob) -> CallResult:
    """The asset's files are on the cluster: a word on the way, which changes no state."""
    return RECORDED if at.open or at.returned else STALE


async def lost_derivative(
    tx: AsyncConnection, at: BoundJob, ppi: int, note: str | None
) -> CallResult:
    """A derivative could not be made: the asset says so, and its job warns; it goes on."""
    if at.attempt is None or not (at.open or at.returned):
        return STALE
    await note_missing(tx, at.guid, ppi, actor=_actor(at.attempt))
    await warn(tx, at.job_id, f"no derivative for {ppi} ppi" + (f" ({note})" if note else ""))
    return CallResult("applied")


async def _came_back(tx: AsyncConnection, at: BoundJob, speaker: Attempt) -> CallResult:
    if at.emits is not None:
        await declare(tx, at.job_id, await count_children(tx, at.guid))
    await close_attempt(tx, speaker.id, "done", finished_at=func.now())
    await mark_returned(tx, at.job_id, attempt_id=speaker.id, actor=_actor(speaker))
    return CallResult("applied", "finished")


async def _failed(tx: AsyncConnection, at: BoundJob, why: str) -> CallResult:
    if not at.open or at.attempt is None:
        return STALE
    await close_attempt(tx, at.attempt.id, "failed", finished_at=func.now(), message=why)
    await give_up(tx, at.attempt, why)
    return CallResult("applied", "failed")


async def _come_back_later(
    tx: AsyncConnection, speaker: Attempt, why: str, pause_s: float
) -> CallResult:
    await close_attempt(tx, speaker.id, "released", finished_at=func.now(), message=why)
    await try_again(
        tx,
        speaker.job_id,
        actor=_actor(speaker),
        why=why,
        uses_try=False,
        guard=Guard(attempt_id=speaker.id),
        delay_s=pause_s,
    )
    return CallResult("applied", "failed")
