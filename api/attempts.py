"""The paths of our own runners: start, token, submitted, complete, fail and outputs.

Each is one transaction, and each may be sent again: the same words change nothing twice.
"""

import logging
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.archive import ars_token
from api.callers import AttemptCaller
from api.context import Context, Here
from api.outputs import put_in_place, received
from hpc import protocol
from schemas.attempts import (
    Body,
    Complete,
    Crc32,
    Fail,
    FileFacts,
    Grant,
    NativeId,
    Size,
    Start,
    Token,
)
from schemas.guid import FileName
from track.commands.grants import make_grant
from track.jobs.attempts import Attempt

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No token, one that is not ours, or one whose attempt ended long ago."},
    403: {"description": "The token of another attempt."},
    409: {"description": "Not this native job: another was started, or none is wanted any more."},
    413: {"description": "The body is too large."},
    422: {"description": "A field is missing or cannot be read; the text names it."},
    503: {"description": "Come back after `Retry-After` seconds; nothing was done."},
}

FULL_S = 60
"""How long a runner waits before it sends again what the server's disk did not take."""

log = logging.getLogger(__name__)

router = APIRouter(prefix="/attempts/{attempt_id}", tags=["attempts"], responses=REFUSALS)


class Submitted(Body):
    """The scheduler's id of an attempt."""

    native_id: NativeId


class Outcome(BaseModel):
    """What became of a message: applied; repeated, known before; stale, its attempt is over.

    By these keys a runner knows that it was us who answered.
    """

    applied: str = Field(examples=["applied", "repeated", "stale"])
    attempt: int


@router.post("/start", summary="Ask to be the one process that does the work")
async def start(attempt_id: int, body: Start, caller: AttemptCaller, here: Here) -> Grant:
    """Grant the start to the first pair of native id and nonce, and to it again.

    Anybody else gets 409 and exits at once, touching nothing. The answer is all that a
    module needs: parameters, metadata, input files, earlier results, an archive token.
    """
    # First the token: without one the job could do nothing, and would count as started.
    token = await ars_token(here)

    async def work(tx: AsyncConnection) -> Attempt:
        return await protocol.start(tx, attempt_id, caller.fence, body)

    granted = await _counted(here, "start", work)
    here.note("start", "applied")
    async with here.engine.connect() as connection:
        try:
            return await make_grant(
                connection, granted, file_proxy=here.config.file_proxy, token=token
            )
        except ValueError as error:
            raise HTTPException(422, f"asset {granted.guid}: {error}") from error


@router.post("/token", summary="Renew the archive token")
async def token(attempt_id: int, caller: AttemptCaller, here: Here) -> Token:
    """A fresh token for the archive, while the attempt is current."""
    async with here.engine.connect() as connection:
        await protocol.wanted(connection, attempt_id, caller.fence)
    return await ars_token(here)


@router.post("/submitted", summary="Note the scheduler's id of the attempt")
async def submitted(attempt_id: int, body: Submitted, caller: AttemptCaller, here: Here) -> Outcome:
    """Said by whoever put the attempt into a scheduler; may come after its start."""

    async def work(tx: AsyncConnection) -> protocol.Answer:
        return await protocol.submitted(tx, attempt_id, caller.fence, body.native_id)

    return await _answer(here, "submitted", attempt_id, work)


@router.post("/complete", summary="Bring the result")
async def complete(attempt_id: int, body: Complete, caller: AttemptCaller, here: Here) -> Outcome:
    """Apply the result of the native job that was started.

    Metadata outside the stage's `writes` is left out with a warning on the job; a result
    that cannot be taken fails the job with the reason.
    """

    async def work(tx: AsyncConnection) -> protocol.Answer:
        return await protocol.complete(tx, attempt_id, caller.fence, body)

    return await _answer(here, "complete", attempt_id, work)


@router.post("/fail", summary="Say that the work failed")
async def fail(attempt_id: int, body: Fail, caller: AttemptCaller, here: Here) -> Outcome:
    """RETRY uses one of the stage's tries and runs the job again; ERROR is final."""

    async def work(tx: AsyncConnection) -> protocol.Answer:
        return await protocol.fail(tx, attempt_id, caller.fence, body)

    return await _answer(here, "fail", attempt_id, work)


@router.put("/outputs/{name}", summary="Send a small file back")
async def outputs(
    attempt_id: int,
    name: Annotated[FileName, Path(description="A plain file name.")],
    request: Request,
    crc32: Annotated[Crc32, Query(description="CRC-32 of the file, IEEE, unsigned.")],
    size_bytes: Annotated[Size, Query(description="Its size in bytes.")],
    caller: AttemptCaller,
    here: Here,
) -> Outcome:
    """Keep the body as a file of the asset, under the stage's name; sent again it is replaced."""
    facts = FileFacts(name=name, crc32=crc32, size_bytes=size_bytes)
    folder = here.config.outputs
    try:
        async with received(request, folder, facts) as partial:

            async def keep(found: Attempt) -> None:
                await put_in_place(partial, folder, found, name)

            async def work(tx: AsyncConnection) -> protocol.Answer:
                return await protocol.output(tx, attempt_id, caller.fence, facts, keep)

            return await _answer(here, "output", attempt_id, work)
    except OSError as error:
        log.error("%s cannot be kept below %s: %s", name, folder, error)
        why = f"{name} cannot be kept just now: {error.strerror}"
        raise HTTPException(503, why, {"Retry-After": str(FULL_S)}) from error


async def _answer(here: Context, kind: str, attempt_id: int, work: Any) -> Outcome:
    """Run one message's transaction, and count what became of it."""

    async def judged(tx: AsyncConnection) -> protocol.Answer:
        answer: protocol.Answer = await work(tx)
        if answer.applied == "stale":
            await protocol.refuse_when_too_late(tx, attempt_id)
        return answer

    answer = await _counted(here, kind, judged)
    here.note(kind, answer.applied)
    return Outcome(applied=answer.applied, attempt=attempt_id)


async def _counted(here: Context, kind: str, work: Any) -> Any:
    try:
        return await here.transact(work)
    except (protocol.Refused, protocol.TooLate):
        here.metrics.callback(kind, "refused")
        raise
