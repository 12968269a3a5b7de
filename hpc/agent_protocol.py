"""What an agent asks of the server, and what it tells: docs/agents.md has it in words.

An agent's message about an attempt is the same message as a runner's, which the agent relays. It
counts while the agent holds the attempt, and never otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hpc import protocol
from hpc.callers import MessageRefused, RunnerCaller
from hpc.ends import of_job
from hpc.manifest import manifest_line
from hpc.protocol import AttemptReply
from hpc.scheduler.ladder import asked_for
from hpc.scheduler.slurm import Task
from hpc.scheduler.states import JobState
from hpc.tokens import Keys
from schemas.agents import (
    ClaimedBatch,
    ClaimedMember,
    Message,
    MissingOutputs,
    NativeEnd,
    Order,
    WorkClaim,
)
from schemas.attempts import Complete, Fail, Start, Token
from schemas.launchers import LAUNCHERS
from schemas.sites import Site
from track.commands.agents import note_at_work
from track.commands.grants import make_grant
from track.jobs.agent_claims import LAUNCHER, UNITS, claimed_before, take
from track.jobs.agent_uploads import order_now
from track.jobs.agents import Agent, lock_agent, note_seen
from track.jobs.attempts import find_attempt
from track.jobs.batches import Batch, Member, read_batches
from track.jobs.outputs import note_retrieved
from track.jobs.sites import read_site
from track.records.documents import NoDocument


@dataclass(frozen=True)
class ClaimReply:
    """An agent's order, its site, and the batches that it is given."""

    order: Order
    site: Site
    batches: tuple[Batch, ...]


async def claim(
    tx: AsyncConnection, agent_id: int, body: WorkClaim, *, archive: bool = True
) -> ClaimReply:
    """Give an agent work, or again what it was given for this request.

    Without the `archive` only what needs none of it. Raises AgentGone.
    """
    by = await lock_agent(tx, agent_id)
    await note_seen(tx, by.id)
    site = await read_site(tx, by.site)
    ids = await claimed_before(tx, by.id, body.request_id)
    order = await order_now(tx, by)
    if order == "run":
        await note_at_work(tx, by.site)
        if not ids and any(body.free.of(each) for each in LAUNCHERS):
            ids = await take(
                tx,
                by,
                body.request_id,
                body.free,
                lease_s=site.lease_s,
                max_array=site.max_array,
                shape=partial(asked_for, site.resources),
                archive=archive,
            )
    return ClaimReply(order, site, tuple(await read_batches(tx, ids)) if ids else ())


def needs_grants(batch: Batch, site: Site) -> bool:
    """Whether a batch's members cannot ask for their start themselves."""
    return bool(batch.resources[LAUNCHER] == "process" or not site.callback)


async def grants_of(
    tx: AsyncConnection, batch: Batch, *, file_proxy: str, token: Token | None
) -> dict[int, dict[str, Any]]:
    """The grants of a batch's open members, by attempt; of one of which nothing is known an empty
    one, which its job reports."""
    found = {}
    for member in batch.members:
        if not member.open:
            continue
        attempt = await find_attempt(tx, member.attempt)
        assert attempt is not None
        try:
            grant = await make_grant(tx, attempt, file_proxy=file_proxy, token=token)
            found[member.attempt] = grant.model_dump(mode="json")
        except (NoDocument, ValueError):
            found[member.attempt] = {}
    return found


def claimed_batch(
    batch: Batch, site: Site, keys: Keys, runner: str, grants: Mapping[int, dict[str, Any]]
) -> ClaimedBatch:
    """A batch as its agent is sent it; what is over meanwhile is left out."""

    def claimed(member: Member) -> ClaimedMember:
        return ClaimedMember(
            attempt=member.attempt,
            fence=member.fence,
            token=keys.issue(member.attempt, member.fence),
            line=manifest_line(member, site.callback or "", site.root),
            grant=grants.get(member.attempt),
        )

    asked = dict(batch.resources)
    return ClaimedBatch(
        key=batch.key,
        launcher=asked.pop(LAUNCHER),
        stage=batch.members[0].stage,
        units=asked.pop(UNITS),
        lease_s=site.lease_s,
        resources=asked,
        runner=runner,
        members=tuple(claimed(each) for each in batch.members if each.open),
    )


async def apply(tx: AsyncConnection, by: Agent, message: Message) -> AttemptReply:
    """Apply what an agent tells of an attempt that it holds.

    Raises MessageRefused for one that it does not hold, and ValidationError.
    """
    caller = RunnerCaller(message.attempt, message.fence, relayed=True, agent_id=by.id)
    match message.verb:
        case "start":
            return await protocol.start(tx, caller, Start.model_validate(message.body))
        case "complete":
            return await protocol.complete(tx, caller, Complete.model_validate(message.body))
        case "fail":
            return await protocol.fail(tx, caller, Fail.model_validate(message.body))
        case "ended":
            return await _ended(tx, caller, NativeEnd.model_validate(message.body), by)
    return await _missing(tx, caller, MissingOutputs.model_validate(message.body))


async def _ended(
    tx: AsyncConnection, caller: RunnerCaller, body: NativeEnd, by: Agent
) -> AttemptReply:
    """A native job ended and left no result: what that means is for the server to say."""
    found = await find_attempt(tx, caller.attempt_id, lock=True)
    if found is None or found.fence != caller.fence:
        raise MessageRefused(f"attempt {caller.attempt_id} is not this agent's")
    states = {state.value: state for state in JobState}
    state = states.get(body.state, JobState.UNKNOWN)
    end = Task(body.native_id, "", state, body.state, exit_code=body.exit_code)
    started = found.started_by is not None if body.started is None else body.started
    meaning = of_job(end, started=started, cancelled=found.cancel_requested)
    if body.why and not found.cancel_requested:
        meaning = replace(meaning, why=f"{meaning.why}: {body.why}")
    return await protocol.ended(
        tx,
        found,
        meaning,
        actor=by.actor,
        exit_code=body.exit_code,
        by_agent=by.id,
        printed=body.printed,
    )


async def _missing(tx: AsyncConnection, caller: RunnerCaller, body: MissingOutputs) -> AttemptReply:
    """Files that a result listed will never come: its job is done again."""
    found = await find_attempt(tx, caller.attempt_id)
    if found is None or (found.fence, found.agent_id) != (caller.fence, caller.agent_id):
        raise MessageRefused(f"attempt {caller.attempt_id} is not this agent's")
    await note_retrieved(tx, found.id, body.why or "its outputs are not there any more")
    return AttemptReply("applied", found)
