"""The paths of our own runners: start, token, submitted, complete, fail and outputs.

Each is one transaction, and each may be sent again: a repetition changes nothing.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.archive import ars_token
from api.callers import AttemptCaller
from api.context import Context, Here
from api.outputs import put_in_place, received
from hpc import protocol
from hpc.callers import MessageRefused
from hpc.protocol import AttemptReply
from schemas.attempts import (
    Complete,
    Fail,
    Grant,
    NativeId,
    Start,
    Token,
    WireModel,
)
from schemas.files import Crc32, FileFacts, Size
from schemas.guid import FileName
from track.commands.grants import make_grant
from track.jobs.attempts import Attempt
from track.jobs.sites import uses_archive
from track.records.documents import NoDocument

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No token, one that is not ours, or one whose attempt ended long ago."},
    403: {"description": "The token of another attempt."},
    409: {"description": "Not this native job: another was started, or none is wanted any more."},
    413: {"description": "The body is too large."},
    422: {"description": "A field is missing or cannot be read; the text names it."},
    503: {"description": "Come back after `Retry-After` seconds; nothing was done."},
}

DISK_FULL_RETRY_S = 60
"""How long a runner waits before it sends again what the server's disk did not take."""

log = logging.getLogger(__name__)

T = TypeVar("T")
Message = Callable[[AsyncConnection], Awaitable[AttemptReply]]

router = APIRouter(prefix="/attempts/{attempt_id}", tags=["attempts"], responses=REFUSALS)


class Submitted(WireModel):
    """The scheduler's id of an attempt."""

    native_id: NativeId


class MessageOutcome(BaseModel):
    """What became of a message: applied; repeated, known before; stale, its attempt is over.

    By these keys a runner knows that it was us who answered.
    """

    applied: str = Field(examples=["applied", "repeated", "stale"])
    attempt: int


@router.post("/start", summary="Ask to be the one process that does the work")
async def start(attempt_id: int, body: Start, caller: AttemptCaller, here: Here) -> Grant:
    """Grant the start to the first pair of native id and nonce, and to it again.

    Anybody else gets 409 and exits at once, touching nothing. The answer is all that a
    module needs: parameters, metadata, input files, earlier results, an archive token if it
    reads or writes files there.
    """
    async with here.engine.connect() as connection:
        needs_token = await uses_archive(connection, attempt_id)
    # First the token: without one the job could do nothing, and would count as started.
    token = await ars_token(here) if needs_token else None

    about: Mapping[str, object] = {}

    async def grant(tx: AsyncConnection) -> Grant | str:
        nonlocal about
        reply = await protocol.start(tx, caller, body)
        granted, about = reply.attempt, reply.about
        assert granted is not None
        try:
            return await make_grant(tx, granted, file_proxy=here.config.file_proxy, token=token)
        # It counts as started: that its asset cannot be read is not the site's fault.
        except NoDocument:
            return f"no metadata is known of asset {granted.guid}"
        except ValueError as error:
            return f"asset {granted.guid}: {error}"

    found = await _counted(here, "start", grant)
    here.note("start", "applied", about)
    if isinstance(found, str):
        raise HTTPException(422, found)
    return found


@router.post("/token", summary="Renew the archive token")
async def token(attempt_id: int, caller: AttemptCaller, here: Here) -> Token:
    """A fresh token for the archive, while the attempt is current."""
    async with here.engine.connect() as connection:
        await protocol.wanted(connection, caller)
    return await ars_token(here)


@router.post("/submitted", summary="Note the scheduler's id of the attempt")
async def submitted(
    attempt_id: int, body: Submitted, caller: AttemptCaller, here: Here
) -> MessageOutcome:
    """Sent by whoever put the attempt into a scheduler; may come after its start."""
    message = partial(protocol.submitted, caller=caller, native_id=body.native_id)
    return await _answer(here, "submitted", attempt_id, message)


@router.post("/complete", summary="Bring the result")
async def complete(
    attempt_id: int, body: Complete, caller: AttemptCaller, here: Here
) -> MessageOutcome:
    """Apply the result of the native job that was started.

    Metadata outside the stage's `writes` is left out with a warning on the job; a result
    that cannot be taken fails the job with the reason.
    """
    message = partial(protocol.complete, caller=caller, body=body)
    return await _answer(here, "complete", attempt_id, message)


@router.post("/fail", summary="Say that the work failed")
async def fail(attempt_id: int, body: Fail, caller: AttemptCaller, here: Here) -> MessageOutcome:
    """RETRY uses one of the stage's tries and runs the job again; ERROR is final."""
    message = partial(protocol.fail, caller=caller, body=body)
    return await _answer(here, "fail", attempt_id, message)


@router.put("/outputs/{name}", summary="Send a small file back")
async def outputs(
    attempt_id: int,
    name: Annotated[FileName, Path(description="A plain file name.")],
    request: Request,
    crc32: Annotated[Crc32, Query(description="CRC-32 of the file, IEEE, unsigned.")],
    size_bytes: Annotated[Size, Query(description="Its size in bytes.")],
    caller: AttemptCaller,
    here: Here,
) -> MessageOutcome:
    """Keep the body as a file of the asset, under the stage's name; sent again it is replaced."""
    facts = FileFacts(name=name, crc32=crc32, size_bytes=size_bytes)
    folder = here.config.outputs
    try:
        async with received(request, folder, facts) as arrived:

            async def keep(found: Attempt) -> None:
                await put_in_place(arrived, folder, found, name)

            message = partial(protocol.output, caller=caller, facts=facts, keep=keep)
            return await _answer(here, "output", attempt_id, message)
    except OSError as error:
        about = {"attempt": attempt_id}
        log.error("%s cannot be kept below %s: %s", name, folder, error, extra=about)
        why = f"{name} cannot be kept just now: {error.strerror}"
        raise HTTPException(503, why, {"Retry-After": str(DISK_FULL_RETRY_S)}) from error


async def _answer(here: Context, kind: str, attempt_id: int, message: Message) -> MessageOutcome:
    """Run one message's transaction, and count what became of it."""
    reply = await _counted(here, kind, message)
    here.note(kind, reply.applied, reply.about or {"attempt": attempt_id})
    return MessageOutcome(applied=reply.applied, attempt=attempt_id)


async def _counted(
    here: Context, kind: str, message: Callable[[AsyncConnection], Awaitable[T]]
) -> T:
    """What one message's transaction gives; one that is refused is counted."""
    try:
        return await here.transact(message)
    except (MessageRefused, protocol.TooLate):
        here.metrics.callback(kind, "refused")
        raise
