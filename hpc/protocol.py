"""The messages of a cluster about an attempt: the same at every site.

Every message is one transaction: the attempt is locked, the call judged by who makes it and by
the attempt's state, written to the inbox, applied with all that follows, and queued for
announcement. A message for an attempt that is no longer current is recorded and answered, and
changes nothing.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.callers import (
    Caller,
    JudgedCall,
    MessageRefused,
    RunnerCaller,
    ScriptCall,
    judge_call,
    native_job,
)
from hpc.ends import INTERRUPTED, Meaning
from schemas.attempts import FailureCause, Start, WorkDone, WorkFailed
from schemas.files import FileFacts
from track.commands import messages
from track.commands.legacy import ppi_of
from track.commands.messages import APPLIED, RECORDED, REPEATED, STALE, Ending, Work
from track.commands.results import note_child_file
from track.jobs.attempts import Attempt, LockedAttempt, ended_before, find_attempt, note_native_id
from track.records.inbox import was_received
from track.schema.states import State

LATE_DAYS = 7
"""How long after its end an attempt's messages are still answered (and not applied)."""

FIRST_PAUSE_S = 300.0
LONGEST_PAUSE_S = 1800.0


class TooLate(Exception):
    """The attempt ended so long ago that its token counts for nothing any more."""


@dataclass(frozen=True)
class AttemptReply:
    """What became of a message: applied, recorded, repeated or stale."""

    applied: str
    attempt: Attempt | None = None
    session: str = ""

    @property
    def about(self) -> dict[str, object]:
        """What a line of a log is about that tells of it."""
        return {} if self.attempt is None else {**self.attempt.about, "session": self.session}


async def start(tx: AsyncConnection, caller: Caller, body: Start | None = None) -> AttemptReply:
    """Grant the start of an attempt to exactly one native job; the same pair again is granted.

    A script's job, which does not ask, has started as it is; so has one that its site's shared
    disk let start, even if it is being cancelled. Raises MessageRefused for any other runner,
    and for an attempt that is not wanted any more.
    """
    call = await judge_call(tx, caller, "start", body)
    if isinstance(caller, ScriptCall):
        native_id, nonce = caller.native_id, None
        if call.open and call.target.state != State.QUEUED:
            return await _take(tx, call, True, None, how=RECORDED)
    else:
        found = _wanted(call.target.attempt, caller)
        native_id, nonce = native_job(body)
        if found.started_by is not None:
            _check_same_job(call, body)
            return AttemptReply(REPEATED, found, call.target.session)
        if found.cancel_requested and not caller.relayed:
            raise MessageRefused(f"attempt {found.id} was cancelled")
    work = partial(messages.let_start, native_id=native_id, nonce=nonce)
    return await _take(tx, call, call.open, work, kind="started")


async def submitted(tx: AsyncConnection, caller: Caller, native_id: str) -> AttemptReply:
    """Note the scheduler's id of an attempt; it may arrive after its start or its end."""
    call = await judge_call(tx, caller, "submitted", {"native_id": native_id}, native_id)
    work = partial(note_native_id, native_id=native_id)
    return await _take(tx, call, call.open, work, kind="queued")


async def complete(
    tx: AsyncConnection, caller: Caller, body: WorkDone, *, adds: bool = False
) -> AttemptReply:
    """Apply the result of the native job that was started, once.

    A result that breaks the stage's own rules fails the job with the reason. A script reports in
    pieces: `adds` lets what comes after the end of its job be added. Raises MessageRefused when
    another native job was started.
    """
    call = await judge_call(tx, caller, "complete", body)
    if isinstance(caller, ScriptCall):
        if not (call.may_add if adds else call.open):
            return await _change_nothing(tx, call)
        return AttemptReply(
            await messages.take_pieces(tx, call.inbox_entry, call.target, body.result)
        )
    _check_same_job(call, body)
    outputs = call.inbox_entry.payload["result"]["outputs"]
    work = partial(messages.bring_result, result=body.result, outputs=outputs)
    return await _take(tx, call, call.open, work, kind="finished")


async def fail(tx: AsyncConnection, caller: Caller, body: WorkFailed) -> AttemptReply:
    """End an attempt without success: RETRY uses a try, ERROR is final.

    What is the site's or the archive's fault uses none: a site that lacks a library gets no
    more jobs of that module, and this one goes elsewhere. Raises MessageRefused when another
    native job was started.
    """
    call = await judge_call(tx, caller, "fail", body)
    why = body.message or "failed without a word"
    if isinstance(caller, ScriptCall):
        if caller.native_id and call.returned:
            call = replace(call, caller=replace(caller, brings=f"its failure ({why[:200]})"))
        return await _end(tx, call, Ending("failed", why, final=body.fail_status == "ERROR"))
    _check_same_job(call, body)
    return await _end(tx, call, _ending(call.target, body, why))


async def output(
    tx: AsyncConnection,
    caller: RunnerCaller,
    facts: FileFacts,
    keep: Callable[[Attempt], Awaitable[None]],
) -> AttemptReply:
    """Take a small file that a started attempt sends; `keep` puts it in its place.

    `keep` runs before the commit and must bear being repeated. Raises MessageRefused.
    """
    about = (facts.name, str(facts.crc32), str(facts.size_bytes))
    call = await judge_call(tx, caller, "outputs", facts, *about)
    found = call.target.attempt
    if call.open and found.started_by is None:
        raise MessageRefused(f"attempt {found.id} was never started")
    reply = await _take(tx, call, call.open, None)
    if reply.applied == APPLIED:
        await keep(found)
    return reply


async def wanted(tx: AsyncConnection, caller: RunnerCaller) -> Attempt:
    """The attempt, if it is current. Raises MessageRefused."""
    return _wanted(await find_attempt(tx, caller.attempt_id), caller)


async def ended(
    tx: AsyncConnection,
    found: Attempt,
    end: Meaning,
    *,
    actor: str,
    exit_code: int | None = None,
    by_agent: int | None = None,
    printed: str | None = None,
) -> AttemptReply:
    """A driver's evidence that an attempt ended without a result: lost, cancelled, crashed.

    A result that was committed first wins: the attempt is not current any more. What uses no
    try is done again after a pause that grows while it comes again, `end.free` times at most
    (None: for ever). `printed`: see `Ending`.
    """
    ending = Ending(
        end.outcome,
        end.why,
        uses_try=end.uses_try,
        grows_to_s=None if end.uses_try else LONGEST_PAUSE_S,
        free=end.free,
        exit_code=exit_code,
        printed=printed,
        actor=actor,
    )
    report = {"outcome": end.outcome, "why": end.why, "exit_code": exit_code}
    driver = RunnerCaller(found.id, found.fence, relayed=True, agent_id=by_agent)
    call = await judge_call(tx, driver, "ended", report, end.outcome, kind=ending.kind)
    return await _end(tx, call, ending)


async def refused(tx: AsyncConnection, found: Attempt, *, why: str, actor: str) -> AttemptReply:
    """A driver's report that the site will never take an attempt as it is asked for."""
    driver = RunnerCaller(found.id, found.fence, relayed=True)
    call = await judge_call(tx, driver, "refused", {"why": why, "by": actor}, kind="failed")
    return await _end(tx, call, Ending("failed", why, final=True))


async def pause(
    tx: AsyncConnection, caller: ScriptCall, why: str, pause_s: float, *, unsubmitted: bool = False
) -> AttemptReply:
    """A script's job goes away for so many seconds and uses no try: its cluster is full.

    `unsubmitted`: unless a native job of its attempt is known.
    """
    call = await judge_call(tx, caller)
    job = call.bound
    if unsubmitted and job is not None and (job.state != State.QUEUED or job.native_ids):
        return await _change_nothing(tx, call)
    return await _end(tx, call, Ending("released", why, uses_try=False, delay_s=pause_s))


async def note(tx: AsyncConnection, caller: ScriptCall, warning: str = "") -> AttemptReply:
    """A script's report on the way, which changes no state; its job warns, if it is to."""
    call = await judge_call(tx, caller)
    counts = call.open if caller.native_id else call.may_add
    work = partial(messages.note_on_the_way, warning=warning, native_id=caller.scheduler_id)
    return await _take(tx, call, counts, work, how=RECORDED)


async def derivative(
    tx: AsyncConnection, caller: ScriptCall, fields: Mapping[str, Any], document: Mapping[str, Any]
) -> AttemptReply:
    """A derivative was made, which the call is about. Raises ValueError for another asset."""
    call = await judge_call(tx, caller)
    counts = call.may_add and call.target.emits is not None
    params = call.bound.params if call.bound else {}
    work = partial(
        messages.add_derivative,
        guid=caller.about,
        ppi=ppi_of(caller.guid, caller.about, params),
        fields=fields,
        document=document,
    )
    return await _take(tx, call, counts, work)


async def derivative_file(
    tx: AsyncConnection, caller: ScriptCall, facts: FileFacts, mime_type: str
) -> AttemptReply:
    """The file of a derivative, which the call is about; again, it is the same file."""
    call = await judge_call(tx, caller)
    work = partial(note_child_file, guid=caller.about, facts=facts, mime_type=mime_type)
    return await _take(tx, call, call.may_add, work)


async def derivative_lost(
    tx: AsyncConnection, caller: ScriptCall, ppi: int, note: str | None
) -> AttemptReply:
    """A derivative could not be made; the job that makes them goes on."""
    call = await judge_call(tx, caller)
    work = partial(messages.miss_derivative, ppi=ppi, note=note)
    return await _take(tx, call, call.may_add, work)


def failure_cause(body: WorkFailed) -> FailureCause:
    """The cause of a runner's failure, by the class name that begins its `exception`."""
    match (body.exception or "").partition("\n")[0]:
        case "NotPrepared" | "ImportError" | "ModuleNotFoundError":
            return FailureCause.SITE_LACKS_LIBRARY
        case "Unreachable":
            return FailureCause.ARCHIVE_UNREACHABLE
        case "Terminated" if body.exit_code in INTERRUPTED:  # today's leave that to their driver
            return FailureCause.TOLD_TO_STOP
    return FailureCause.SPECIMEN


def _ending(of: LockedAttempt, body: WorkFailed, why: str) -> Ending:
    """What a runner's failure means: one that is not its specimen's waits, and uses no try."""
    cause, found = failure_cause(body), of.attempt
    is_specimens = cause is FailureCause.SPECIMEN
    lacks = cause is FailureCause.SITE_LACKS_LIBRARY and bool(of.module)
    delay_s = None
    if not is_specimens:  # one that lacks a library waits for a site that has it, for no time
        grown_s = FIRST_PAUSE_S * 2.0 ** min(found.n - 1, 10)
        delay_s = 0.0 if lacks else min(LONGEST_PAUSE_S, grown_s)
    outcome = "failed" if is_specimens else "unserved"
    return Ending(
        "cancelled" if found.cancel_requested else outcome,
        why,
        final=body.fail_status == "ERROR",
        uses_try=is_specimens,
        delay_s=delay_s,
        lacks=lacks,
        exit_code=body.exit_code,
        usage=body.usage,
        printed=body.printed or None,
    )


async def _end(tx: AsyncConnection, call: JudgedCall, ending: Ending) -> AttemptReply:
    native_id = call.caller.scheduler_id
    work = partial(messages.end_without_result, ending=ending, native_id=native_id)
    return await _take(tx, call, call.open, work, kind=ending.kind)


async def _take(
    tx: AsyncConnection,
    call: JudgedCall,
    counts: bool,
    work: Work | None,
    *,
    how: str = APPLIED,
    kind: str = "",
) -> AttemptReply:
    """Have a message applied that counts; any other changes nothing. Raises TooLate."""
    if not counts:
        return await _change_nothing(tx, call)
    how = await messages.take(tx, call.inbox_entry, call.target, work, how=how, kind=kind)
    return AttemptReply(how, call.target.attempt, call.target.session)


async def _change_nothing(tx: AsyncConnection, call: JudgedCall) -> AttemptReply:
    """Keep a message that changes nothing any more; of an agent's nothing is written.

    Raises TooLate, and MessageRefused for an agent's that did not count before either.
    """
    caller = call.caller
    if isinstance(caller, RunnerCaller) and caller.agent_id is not None:
        found = call.target.attempt
        theirs = (found.agent_id, found.fence) == (caller.agent_id, caller.fence)
        if theirs and await was_received(tx, call.inbox_entry):
            return AttemptReply(REPEATED)
        raise MessageRefused(f"attempt {found.id} is not this agent's any more")
    token = caller.token
    how = RECORDED if call.locked is None and call.bound is None else STALE
    how = await messages.keep(tx, call.inbox_entry, how, call.bound, call.caller.brings)
    if how == STALE and token and await ended_before(tx, token.attempt_id, LATE_DAYS):
        raise TooLate(f"attempt {token.attempt_id} ended more than {LATE_DAYS} days ago")
    return AttemptReply(how)


def _wanted(found: Attempt | None, caller: RunnerCaller) -> Attempt:
    theirs = found is not None and caller.agent_id in (None, found.agent_id)
    if found is None or not theirs or not found.current or found.fence != caller.fence:
        raise MessageRefused(f"attempt {caller.attempt_id} is not wanted any more")
    return found


def _check_same_job(call: JudgedCall, body: object) -> None:
    """Raise MessageRefused where another native job was started for a current attempt."""
    found = call.target.attempt
    if call.open and found.started_by is None:
        raise MessageRefused(f"attempt {found.id} was never started")
    by_agent = isinstance(call.caller, RunnerCaller) and call.caller.agent_id is not None
    if by_agent and found.nonce is None:
        return  # its agent was given the start with the attempt, and lets one runner have it
    if call.open and (found.started_by, found.nonce) != native_job(body):
        raise MessageRefused(f"attempt {found.id} was started by native job {found.started_by}")
