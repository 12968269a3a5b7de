"""What a cluster and we say to each other about an attempt: the same words at every site.

Every message is one transaction: the attempt is locked, the message judged by who calls and by
the attempt's state, written to the inbox, applied with all that follows, and queued for
announcement. A runner calls for its own attempt and may be refused; an existing script names an
asset and a job, asks for nothing and is never refused. A message for an attempt that is no longer
current is recorded and answered, and changes nothing.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.ends import INTERRUPTED
from schemas.attempts import FailureCause, Start, WorkDone, WorkFailed
from schemas.files import FileFacts
from track.commands import messages
from track.commands.legacy import BoundJob, StageChoice, UnknownJob, bind_job, ppi_of
from track.commands.legacy_sites import was_at
from track.commands.messages import APPLIED, RECORDED, REPEATED, STALE, Ending, Work
from track.jobs.attempts import (
    Attempt,
    LockedAttempt,
    ended_before,
    find_attempt,
    lock_attempt,
    note_native_id,
)
from track.records.inbox import Received
from track.schema.states import State

LATE_DAYS = 7
"""How long after its end an attempt's messages are still answered (and not applied)."""

FIRST_PAUSE_S = 300.0
LONGEST_PAUSE_S = 1800.0

QUEUE_FULL = "-1"
"""The job id a script reports when its cluster took no job."""


class MessageRefused(Exception):
    """This native job may not run, or is not the one that was started: it exits at once."""


class TooLate(Exception):
    """The attempt ended so long ago that its token counts for nothing any more."""


class NotTheirs(Exception):
    """The token is that of another job, or the network that of another site."""


@dataclass(frozen=True)
class RunnerCaller:
    """A runner, known by its attempt's token, or whose words its site's driver `relayed`."""

    attempt_id: int
    fence: int
    relayed: bool = False


@dataclass(frozen=True)
class SiteScript:
    """A script without a token, from a network that only these sites list."""

    sites: frozenset[str]


@dataclass(frozen=True)
class ScriptCall:
    """A call of an existing script: who made it, which job it means, how the inbox keeps it.

    `who` is the attempt whose token it shows, or None when it may speak for every site's;
    `native_id` the job id it names; `says` what makes another call the same, and `brings` what
    would be lost if it were not taken.
    """

    who: RunnerCaller | SiteScript | None
    kind: str
    guid: str
    which: StageChoice
    payload: Mapping[str, Any]
    says: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""
    brings: str = ""
    native_id: str = ""
    job_optional: bool = False

    @property
    def token(self) -> RunnerCaller | None:
        """The token it shows."""
        return self.who if isinstance(self.who, RunnerCaller) else None

    def entry(self, at: BoundJob | None) -> Received:
        """How the inbox keeps it: under one key for the same words about the same attempt."""
        speaker = at.attempt if at else None
        words = json.dumps(self.says, sort_keys=True)
        ids = f"{at.job_id if at else 0}|{speaker.id if speaker else 0}"
        key = hashlib.sha256(f"{self.kind}|{self.about or self.guid}|{ids}|{words}".encode())
        return Received(
            f"script|{key.hexdigest()}",
            f"/api/v1/{self.kind}",
            self.kind,
            self.payload,
            asset_guid=self.about or self.guid,
            attempt_id=speaker.id if speaker else None,
        )


Caller = RunnerCaller | ScriptCall


@dataclass(frozen=True)
class AttemptReply:
    """What became of a message: applied, recorded, repeated or stale."""

    applied: str
    attempt: Attempt | None = None


@dataclass(frozen=True)
class HeardMessage:
    """A message under its attempt's lock, judged by who calls and by the attempt's state.

    `open`: the attempt is current, and the caller's; `returned`: what its script brought is
    back, and it may add to that.
    """

    entry: Received
    locked: LockedAttempt | None
    bound: BoundJob | None = None
    open: bool = False
    returned: bool = False

    @property
    def adds(self) -> bool:
        """Whether something may still be brought."""
        return self.open or self.returned

    @property
    def speaker(self) -> LockedAttempt:
        """The attempt that is spoken for; there is one where it is open or has returned."""
        assert self.locked is not None
        return self.locked


async def start(tx: AsyncConnection, caller: Caller, body: Start | None = None) -> AttemptReply:
    """Grant the start of an attempt to exactly one native job; the same pair again is granted.

    A script's job, which does not ask, has started as it is; so has one that its site's shared
    disk let start, even if it is being cancelled. Raises MessageRefused for any other runner,
    and for an attempt that is not wanted any more.
    """
    heard = await _hear(tx, caller, "start", body)
    if isinstance(caller, ScriptCall):
        native_id, nonce = caller.native_id, None
        if heard.open and heard.speaker.state != State.QUEUED:
            return await _take(tx, caller, heard, True, None, how=RECORDED)
    else:
        found = _wanted(heard.speaker.attempt, caller)
        native_id, nonce = _native(body)
        if found.started_by is not None:
            _same_job(found, body)
            return AttemptReply(REPEATED, found)
        if found.cancel_requested and not caller.relayed:
            raise MessageRefused(f"attempt {found.id} was cancelled")
    work = partial(messages.let_start, native_id=native_id, nonce=nonce)
    return await _take(tx, caller, heard, heard.open, work, kind="started")


async def submitted(tx: AsyncConnection, caller: Caller, native_id: str) -> AttemptReply:
    """Note the scheduler's id of an attempt; it may arrive after its start or its end."""
    heard = await _hear(tx, caller, "submitted", {"native_id": native_id}, native_id)
    work = partial(note_native_id, native_id=native_id)
    return await _take(tx, caller, heard, heard.open, work, kind="queued")


async def complete(
    tx: AsyncConnection, caller: Caller, body: WorkDone, *, adds: bool = False
) -> AttemptReply:
    """Apply the result of the native job that was started, once.

    A result that breaks the stage's own rules fails the job with the reason. A script reports in
    pieces: `adds` lets what comes after the end of its job be added. Raises MessageRefused when
    another native job was started.
    """
    heard = await _hear(tx, caller, "complete", body)
    if isinstance(caller, ScriptCall):
        if not (heard.adds if adds else heard.open):
            return await _over(tx, caller, heard)
        how = await messages.take_pieces(tx, heard.entry, heard.speaker, body.result)
        return AttemptReply(how)
    if heard.open:
        _same_job(heard.speaker.attempt, body)
    kept = heard.entry.payload["result"]
    work = partial(messages.bring_result, result=body.result, kept=kept)
    return await _take(tx, caller, heard, heard.open, work, kind="finished")


async def fail(tx: AsyncConnection, caller: Caller, body: WorkFailed) -> AttemptReply:
    """End an attempt without success: RETRY uses a try, ERROR is final.

    What is the site's or the archive's fault uses none: a site that lacks a library gets no
    more jobs of that module, and this one goes elsewhere. Raises MessageRefused when another
    native job was started.
    """
    heard = await _hear(tx, caller, "fail", body)
    why, final = body.message or "failed without a word", body.fail_status == "ERROR"
    if isinstance(caller, ScriptCall):
        if caller.native_id and heard.returned:
            caller = replace(caller, brings=f"its failure ({why[:200]})")
        return await _end(tx, caller, heard, Ending("failed", why, final=final))
    if heard.open:
        _same_job(heard.speaker.attempt, body)
    return await _end(tx, caller, heard, _ending(heard.speaker, body, why))


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
    heard = await _hear(tx, caller, "outputs", facts, *about)
    found = heard.speaker.attempt
    if heard.open and found.started_by is None:
        raise MessageRefused(f"attempt {found.id} was never started")
    reply = await _take(tx, caller, heard, heard.open, None)
    if reply.applied == APPLIED:
        await keep(found)
    return reply


async def wanted(tx: AsyncConnection, caller: RunnerCaller) -> Attempt:
    """The attempt, if it is current. Raises MessageRefused."""
    return _wanted(await find_attempt(tx, caller.attempt_id), caller)


async def ended(
    tx: AsyncConnection,
    found: Attempt,
    *,
    outcome: str,
    why: str,
    uses_try: bool,
    actor: str,
    exit_code: int | None = None,
    free: int | None = None,
) -> AttemptReply:
    """A driver's evidence that an attempt ended without a word: lost, cancelled, crashed.

    A result that was committed first wins: the attempt is not current any more. What uses no
    try is done again after a pause that grows while it comes again, `free` times at most
    (None: for ever).
    """
    grows = None if uses_try else LONGEST_PAUSE_S
    ending = Ending(
        outcome,
        why,
        uses_try=uses_try,
        grows_to_s=grows,
        free=free,
        exit_code=exit_code,
        actor=actor,
    )
    said = {"outcome": outcome, "why": why, "exit_code": exit_code}
    return await _ended(tx, found, "ended", said, ending, outcome)


async def refused(tx: AsyncConnection, found: Attempt, *, why: str, actor: str) -> AttemptReply:
    """A driver's word that the site will never take an attempt as it is asked for."""
    said = {"why": why, "by": actor}
    return await _ended(tx, found, "refused", said, Ending("failed", why, final=True))


async def pause(
    tx: AsyncConnection, caller: ScriptCall, why: str, pause_s: float, *, unsubmitted: bool = False
) -> AttemptReply:
    """A script's job goes away for so many seconds and uses no try: its cluster is full.

    `unsubmitted`: unless a native job of its attempt is known.
    """
    heard = await _hear(tx, caller)
    at = heard.bound
    if unsubmitted and at is not None and (at.state != State.QUEUED or at.native_ids):
        return await _over(tx, caller, heard)
    return await _end(tx, caller, heard, Ending("released", why, uses_try=False, delay_s=pause_s))


async def note(tx: AsyncConnection, caller: ScriptCall, warning: str = "") -> AttemptReply:
    """A script's word on the way, which changes no state; its job warns, if it is to."""
    heard = await _hear(tx, caller)
    counts = heard.open if caller.native_id else heard.adds
    first_id = _first_id(caller)
    work = partial(messages.note_on_the_way, warning=warning, native_id=first_id)
    return await _take(tx, caller, heard, counts, work, how=RECORDED)


async def derivative(
    tx: AsyncConnection, caller: ScriptCall, fields: Mapping[str, Any], document: Mapping[str, Any]
) -> AttemptReply:
    """A derivative was made, which the call is about. Raises ValueError for another asset."""
    heard = await _hear(tx, caller)
    counts = heard.adds and heard.speaker.emits is not None
    guid, params = caller.about, heard.bound.params if heard.bound else {}
    work = partial(
        messages.add_derivative,
        guid=guid,
        ppi=ppi_of(caller.guid, guid, params),
        fields=fields,
        document=document,
    )
    return await _take(tx, caller, heard, counts, work)


async def derivative_file(
    tx: AsyncConnection, caller: ScriptCall, facts: FileFacts, mime_type: str
) -> AttemptReply:
    """The file of a derivative, which the call is about; again, it is the same file."""
    heard = await _hear(tx, caller)
    work = partial(
        messages.add_derivative_file, guid=caller.about, facts=facts, mime_type=mime_type
    )
    return await _take(tx, caller, heard, heard.adds, work)


async def derivative_lost(
    tx: AsyncConnection, caller: ScriptCall, ppi: int, note: str | None
) -> AttemptReply:
    """A derivative could not be made; the job that makes them goes on."""
    heard = await _hear(tx, caller)
    work = partial(messages.miss_derivative, ppi=ppi, note=note)
    return await _take(tx, caller, heard, heard.adds, work)


async def check_was_at(tx: AsyncConnection, who: SiteScript, guid: str) -> None:
    """Raise NotTheirs for an asset that was never given to a script's sites."""
    if not await was_at(tx, guid, who.sites):
        raise NotTheirs(f"{guid} was never given to {', '.join(sorted(who.sites))}")


def failure_cause(body: WorkFailed) -> FailureCause:
    """What a runner's failure is owed to, told by the class name that begins its `exception`."""
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
    served = cause is FailureCause.SPECIMEN
    lacks = cause is FailureCause.SITE_LACKS_LIBRARY and bool(of.module)
    pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(found.n - 1, 10))
    if lacks:
        pause_s = 0.0  # it waits for no time, but for a site that has the library
    outcome = "failed" if served else "unserved"
    return Ending(
        "cancelled" if found.cancel_requested else outcome,
        why,
        final=body.fail_status == "ERROR",
        uses_try=served,
        delay_s=None if served else pause_s,
        lacks=lacks,
        exit_code=body.exit_code,
        usage=body.usage,
    )


async def _ended(
    tx: AsyncConnection,
    found: Attempt,
    verb: str,
    said: Mapping[str, Any],
    ending: Ending,
    *about: str,
) -> AttemptReply:
    """What a driver says of an attempt's end."""
    caller = RunnerCaller(found.id, found.fence, relayed=True)
    heard = await _hear(tx, caller, verb, said, *about, kind=ending.kind)
    return await _end(tx, caller, heard, ending)


async def _end(
    tx: AsyncConnection, caller: Caller, heard: HeardMessage, ending: Ending
) -> AttemptReply:
    work = partial(messages.end_without_result, ending=ending, native_id=_first_id(caller))
    return await _take(tx, caller, heard, heard.open, work, kind=ending.kind)


async def _take(
    tx: AsyncConnection,
    caller: Caller,
    heard: HeardMessage,
    counts: bool,
    work: Work | None,
    *,
    how: str = APPLIED,
    kind: str = "",
) -> AttemptReply:
    """Have a message applied that counts; any other changes nothing. Raises TooLate."""
    if not counts:
        return await _over(tx, caller, heard)
    of = heard.speaker
    return AttemptReply(
        await messages.take(tx, heard.entry, of, work, how=how, kind=kind), of.attempt
    )


KINDS = {"submitted": "queued", "complete": "finished", "fail": "failed", "outputs": "output"}
"""What the inbox calls a runner's message, where that is not its path's last word."""


async def _hear(
    tx: AsyncConnection,
    caller: Caller,
    verb: str = "",
    said: BaseModel | Mapping[str, Any] | None = None,
    *about: str,
    kind: str = "",
) -> HeardMessage:
    """Lock whom a message is about, and judge it; `about` is what makes another one the same.

    Raises MessageRefused when there is no such attempt.
    """
    if isinstance(caller, ScriptCall):
        return await _hear_script(tx, caller)
    locked = await lock_attempt(tx, caller.attempt_id)
    if locked is None:
        raise MessageRefused(f"there is no attempt {caller.attempt_id}")
    found = locked.attempt
    entry = Received(
        "|".join((verb, str(found.id), *(about or _native(said)))),
        f"/attempts/{found.id}/{verb}",
        kind or KINDS.get(verb, verb),
        said.model_dump(mode="json") if isinstance(said, BaseModel) else said or {},
        asset_guid=found.guid,
        attempt_id=found.id,
    )
    return HeardMessage(entry, locked, open=found.current and found.fence == caller.fence)


async def _hear_script(tx: AsyncConnection, call: ScriptCall) -> HeardMessage:
    """Raises UnknownAsset, UnknownJob and NotTheirs."""
    token = call.token
    try:
        at = await bind_job(tx, call.guid, call.which, token.attempt_id if token else None)
    except UnknownJob:
        if not call.job_optional:
            raise
        if isinstance(call.who, SiteScript):
            await check_was_at(tx, call.who, call.guid)
        return HeardMessage(call.entry(None), None)
    found = at.attempt
    if token is not None and found is None:
        raise NotTheirs(f"the token is not that of job {at.stage} of {call.guid}")
    theirs = not call.native_id or at.knows(call.native_id)
    if token is not None and found is not None:
        theirs &= found.fence == token.fence
    if isinstance(call.who, SiteScript) and (found is None or found.site not in call.who.sites):
        await check_was_at(tx, call.who, call.guid)
        theirs = False  # one that was there before is late
    return HeardMessage(call.entry(at), at.locked, at, theirs and at.open, theirs and at.returned)


async def _over(tx: AsyncConnection, caller: Caller, heard: HeardMessage) -> AttemptReply:
    """Keep a message that changes nothing any more. Raises TooLate."""
    if isinstance(caller, ScriptCall):
        token, brings = caller.token, caller.brings
    else:
        token, brings = (None if caller.relayed else caller), ""
    how = RECORDED if heard.locked is None and heard.bound is None else STALE
    how = await messages.keep(tx, heard.entry, how, heard.bound, brings)
    if how == STALE and token and await ended_before(tx, token.attempt_id, LATE_DAYS):
        raise TooLate(f"attempt {token.attempt_id} ended more than {LATE_DAYS} days ago")
    return AttemptReply(how)


def _wanted(found: Attempt | None, caller: RunnerCaller) -> Attempt:
    if found is None or not found.current or found.fence != caller.fence:
        raise MessageRefused(f"attempt {caller.attempt_id} is not wanted any more")
    return found


def _native(said: object) -> tuple[str, ...]:
    """The native job that a runner's message names, and its nonce."""
    return (said.native_id, said.nonce) if isinstance(said, Start) else ()


def _same_job(found: Attempt, said: object) -> None:
    if found.started_by is None:
        raise MessageRefused(f"attempt {found.id} was never started")
    if (found.started_by, found.nonce) != _native(said):
        raise MessageRefused(f"attempt {found.id} was started by native job {found.started_by}")


def _first_id(caller: Caller) -> str:
    """A script's job id, unless it says that its cluster took no job."""
    told = caller.native_id if isinstance(caller, ScriptCall) else ""
    return "" if told == QUEUE_FULL else told
