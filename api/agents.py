"""The paths of agents: join, claim, submitted, heartbeat, messages, outputs, runner.

docs/agents.md has each of them. Each may be sent again: a repetition changes nothing.
"""

import asyncio
import logging
import time
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Request
from fastapi.responses import FileResponse
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.agent_callers import JoinToken, KnownAgent, SiteName
from api.archive import NoToken, ars_token_if_any, no_token
from api.callers import unauthorised
from api.context import Context, Here
from api.outputs import Damaged, place_output, received_content
from api.problems import first_problem
from hpc import agent_protocol
from hpc.agent_protocol import ClaimReply
from hpc.callers import MessageRefused
from schemas.agents import (
    MAX_WAIT_S,
    ClaimAnswer,
    ClaimedBatch,
    Heartbeat,
    HeartbeatReply,
    Join,
    Joined,
    Message,
    Messages,
    MessageStatus,
    MessageStatuses,
    NewToken,
    OutputsLeft,
    SubmittedBatches,
    WorkClaim,
)
from schemas.attempts import Token
from track.commands.agents import note_at_work
from track.jobs import agents
from track.jobs.agent_leases import batches_to_keep, note_submitted, renew
from track.jobs.agent_outputs import note_arrived, wanted_output
from track.jobs.agent_uploads import order_now
from track.jobs.agents import Agent, AgentGone, JoinRefused, lock_agent, note_seen
from track.jobs.sites import read_site, uses_archive
from track.schema.database import never_fits

HEARTBEAT_S = 60.0
LOOK_S = 5.0
"""How often a claim that waits looks itself, should no notice come."""

log = logging.getLogger(__name__)

ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"description": "No token of an agent."},
    403: {"description": "An agent of another site."},
    409: {"description": "Not this agent's, or not wanted any more; nothing was written."},
    410: {"description": "The agent was declared gone."},
    429: {"description": "Too often: come back after `Retry-After` seconds."},
    503: {"description": "Come back after `Retry-After` seconds; nothing was done."},
}

router = APIRouter(prefix="/sites/{site}", tags=["agents"], responses=ANSWERS)


@router.post("/join", summary="Become an agent of a site")
async def join(site: SiteName, body: Join, shown: JoinToken, here: Here) -> Joined:
    """The same token again is the same agent: an answer that is lost costs nothing."""
    try:
        found = await here.transact(partial(agents.join, name=site, shown=shown, body=body))
    except JoinRefused as error:
        raise unauthorised(str(error)) from None
    return Joined(agent=found.id, name=found.name)


@router.post("/token", summary="Change the token")
async def token(site: SiteName, body: NewToken, by: KnownAgent, here: Here) -> Joined:
    """Both tokens are valid until the new one is first used."""
    await here.transact(partial(agents.add_token, found=by.agent, shown=by.token, new=body.token))
    return Joined(agent=by.agent.id, name=by.agent.name)


@router.post("/claim", summary="Ask for work")
async def claim(site: SiteName, body: WorkClaim, by: KnownAgent, here: Here) -> ClaimAnswer:
    """Wait for work, and take as much as there are free units for; the same request again has
    the same answer."""
    until = time.monotonic() + min(body.wait_s, MAX_WAIT_S)
    # First the token: without one only what needs none of the archive could begin.
    archive = await ars_token_if_any(here)
    found = await _claim(here, by.agent, body, archive)
    while not found.batches and found.order == "run" and (left_s := until - time.monotonic()) > 0:
        await here.queues.next_notice(site, min(left_s, LOOK_S))
        archive = await ars_token_if_any(here)
        found = await _claim(here, by.agent, body, archive)
    batches = await _claimed_batches(here, found, archive)
    return ClaimAnswer(
        batches=batches, order=found.order, again_s=0.0 if found.order == "run" else 30.0
    )


async def _claim(here: Context, by: Agent, body: WorkClaim, archive: Token | NoToken) -> ClaimReply:
    claiming = partial(agent_protocol.claim, agent_id=by.id, body=body)
    try:
        found = await here.transact(claiming, archive=isinstance(archive, Token))
    except AgentGone as error:
        raise HTTPException(410, str(error)) from None
    if found.batches:
        here.announcer.notify()
    return found


async def _claimed_batches(
    here: Context, found: ClaimReply, archive: Token | NoToken
) -> tuple[ClaimedBatch, ...]:
    keys, runner = here.config.keys, here.config.runner_digest
    made = []
    async with here.engine.connect() as tx:
        for batch in found.batches:
            grants: dict[int, dict[str, Any]] = {}
            if agent_protocol.needs_grants(batch, found.site):
                token = None
                if await uses_archive(tx, batch.members[0].attempt):
                    if isinstance(archive, NoToken):  # it was given before: its answer was lost
                        raise no_token(archive)
                    token = archive
                proxy = here.config.file_proxy
                grants = await agent_protocol.grants_of(tx, batch, file_proxy=proxy, token=token)
            made.append(agent_protocol.claimed_batch(batch, found.site, keys, runner, grants))
    return tuple(each for each in made if each.members)


@router.get("/runner/{digest}", summary="Fetch the runner")
async def runner(
    site: SiteName,
    digest: Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="Its SHA-256.")],
    by: KnownAgent,
    here: Here,
) -> FileResponse:
    """The program that runs members of a batch."""
    path = here.config.runner
    if path is None or digest != here.config.runner_digest:
        raise HTTPException(404, f"there is no runner {digest} any more: claim again")
    return FileResponse(path, media_type="application/octet-stream")


@router.post("/submitted", summary="Note the scheduler's ids of batches")
async def submitted(
    site: SiteName, body: SubmittedBatches, by: KnownAgent, here: Here
) -> dict[str, dict[str, str]]:
    """`gone` for a batch that is not the agent's any more."""
    ids = {each.key: each.native_id for each in body.batches}
    found = await here.transact(partial(note_submitted, agent_id=by.agent.id, ids=ids))
    return {"batches": found}


@router.post("/heartbeat", summary="Say what is held, and hear what to do")
async def heartbeat(site: SiteName, body: Heartbeat, by: KnownAgent, here: Here) -> HeartbeatReply:
    """What is listed and still the agent's is renewed; what is not listed runs out in its time."""
    held = {each.attempt: each.fence for each in body.attempts}

    async def work(tx: AsyncConnection) -> HeartbeatReply:
        lease_s = (await read_site(tx, site)).lease_s
        renewal = await renew(tx, by.agent.id, held, lease_s)
        kept = await batches_to_keep(tx, by.agent.id, body.batches)
        now = await lock_agent(tx, by.agent.id)
        inventory = len(held) + len(body.batches)
        await note_seen(tx, now.id, body, load=body.load, held=inventory)
        order = await order_now(tx, now)
        if order == "run":
            await note_at_work(tx, site)
        return HeartbeatReply(
            order=order,
            again_s=min(HEARTBEAT_S, lease_s / 4),
            lease_s=lease_s,
            rotate=now.rotate,
            capacity=now.capacity,
            runner=here.config.runner_digest,
            attempts={each: renewal.word(each) for each in held},
            batches={each: "keep" if each in kept else "remove" for each in body.batches},
        )

    try:
        return await here.transact(work)
    except AgentGone as error:
        raise HTTPException(410, str(error)) from None


@router.post("/messages", summary="Tell what happened to attempts")
async def messages(site: SiteName, body: Messages, by: KnownAgent, here: Here) -> MessageStatuses:
    """Each is applied in a transaction of its own, in their order, and answered by itself."""
    return MessageStatuses(
        outcomes=tuple([await _message(here, by.agent, each) for each in body.messages])
    )


async def _message(here: Context, by: Agent, message: Message) -> MessageStatus:
    """Apply one message; one that is refused, or cannot be read, keeps no other from counting."""
    status, error, applied = 200, None, None
    try:
        reply = await here.transact(partial(agent_protocol.apply, by=by, message=message))
        applied = reply.applied
        here.note(message.verb, applied, reply.about or {"attempt": message.attempt})
    except MessageRefused as refusal:
        status, error = 409, str(refusal)
    except ValidationError as trouble:
        status, error = 422, first_problem(trouble)
    except DBAPIError as trouble:
        if not never_fits(trouble):
            raise
        status, error = 422, "a value is too large, or is text the database cannot keep"
    if error is not None:
        here.metrics.callback(message.verb, "refused")
    return MessageStatus(attempt=message.attempt, status=status, applied=applied, error=error)


@router.put("/outputs/{attempt}/{sha256}", summary="Send a file that a result listed")
async def output(
    site: SiteName,
    attempt: Annotated[int, Path(ge=1, lt=2**63)],
    sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")],
    request: Request,
    by: KnownAgent,
    here: Here,
) -> OutputsLeft:
    """Keep the body where the result's file of this content belongs; how many are left."""
    async with here.engine.connect() as tx:
        wanted = await wanted_output(tx, attempt, by.agent.id, sha256)
    if wanted is None:
        raise HTTPException(409, f"nobody waits for this file of attempt {attempt}")
    folder = here.config.outputs
    try:
        async with received_content(request, folder, wanted.size_bytes, sha256) as arrived:
            await asyncio.to_thread(place_output, arrived, folder, wanted)
            left = await here.transact(
                partial(note_arrived, attempt_id=attempt, paths=wanted.paths)
            )
    except Damaged as error:
        raise HTTPException(422, str(error)) from None
    except OSError as error:
        about = {"attempt": attempt}
        log.error("an output cannot be kept below %s: %s", folder, error, extra=about)
        why = f"it cannot be kept just now: {error.strerror}"
        raise HTTPException(503, why, {"Retry-After": "60"}) from error
    here.announcer.notify()
    return OutputsLeft(left=left)
