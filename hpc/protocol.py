"""What a cluster and we say to each other about an attempt: the same words at every site.

Every message is one transaction: written to the inbox, judged by token fence and
state, applied with all that follows, and queued for announcement. A message for an
attempt that is no longer current is recorded and answered, and changes nothing.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.unserved import LONGEST_PAUSE_S, lacks_library, not_its_fault, pause_s
from schemas import events
from schemas.attempts import Complete, Fail, FileFacts, Result, Start, Usage
from schemas.metadata.document import MetadataError
from track.commands.results import apply_result
from track.commands.site_lacks import forget_lacks, note_lack
from track.jobs.attempts import Attempt, close_attempt, find_attempt
from track.jobs.edges import HELD
from track.jobs.moves import Guard, move
from track.jobs.verbs import end, try_again
from track.records.inbox import Received, receive
from track.records.wake import wake
from track.schema.states import State
from track.schema.tables import asset, attempt, job, pipeline, site, stage

LATE_DAYS = 7
"""How long after its end an attempt's messages are still answered (and not applied)."""


class Refused(Exception):
    """This native job may not run, or is not the one that was started: it exits at once."""


class TooLate(Exception):
    """The attempt ended so long ago that its token counts for nothing any more."""


@dataclass(frozen=True)
class Answer:
    """What became of a message: applied, repeated or stale."""

    applied: str


@dataclass(frozen=True)
class LockedAttempt:
    """An attempt under its lock, with all that a message about it needs, read at once.

    `module` is empty when it runs something else; `lacked`: its site was not able to run it.
    """

    attempt: Attempt
    state: State
    writes: Sequence[str]
    session: str
    pipeline: str
    module: str = ""
    lacked: bool = False


async def start(
    tx: AsyncConnection, attempt_id: int, fence: int, body: Start, *, granted_there: bool = False
) -> Attempt:
    """Grant the start of an attempt to exactly one native job; the same pair again is granted.

    `granted_there`: the site's shared disk decided, so it runs even if it is being cancelled.
    Raises Refused for anybody else, and for an attempt that is not wanted any more.
    """
    locked = await _lock_attempt(tx, attempt_id)
    found = _wanted(locked.attempt, attempt_id, fence)
    if found.started_by is not None:
        if (found.started_by, found.nonce) == (body.native_id, body.nonce):
            return found
        raise Refused(f"attempt {attempt_id} was started by native job {found.started_by}")
    if found.cancel_requested and not granted_there:
        raise Refused(f"attempt {attempt_id} was cancelled")
    key = f"start|{attempt_id}|{body.native_id}|{body.nonce}"
    inbox_entry = _letter(key, "start", found, body.model_dump(mode="json"))
    await receive(tx, inbox_entry, "applied", _event(locked, "started"))
    grant = {"started_by": body.native_id, "nonce": body.nonce, "started_at": func.now()}
    await tx.execute(update(attempt).where(attempt.c.id == attempt_id).values(grant))
    await move(
        tx,
        found.job_id,
        State.QUEUED,
        State.RUNNING,
        actor=_actor(found),
        why=f"started by {body.native_id}",
        guard=Guard(attempt_id=attempt_id),
    )
    return found


async def submitted(tx: AsyncConnection, attempt_id: int, fence: int, native_id: str) -> Answer:
    """Note the scheduler's id of an attempt; it may arrive after its start or its end."""

    async def note(_: LockedAttempt) -> None:
        values = {"external_id": native_id, "submitted_at": func.now()}
        known = (attempt.c.id == attempt_id) & attempt.c.submitted_at.is_(None)
        await tx.execute(update(attempt).where(known).values(values))

    key = f"submitted|{attempt_id}|{native_id}"
    payload = {"native_id": native_id}
    return await _message(tx, attempt_id, fence, key, "queued", payload, note)


async def complete(tx: AsyncConnection, attempt_id: int, fence: int, body: Complete) -> Answer:
    """Apply the result of the native job that was started, once.

    A result that breaks the stage's own rules fails the job with the reason.
    Raises Refused when another native job was started.
    """

    async def apply(locked: LockedAttempt) -> None:
        found = locked.attempt
        _same_job(found, body.native_id, body.nonce)
        try:
            values = await _apply_result(tx, locked, body.result)
        except (MetadataError, ValueError) as error:
            why = f"its result cannot be taken: {error}"
            await _end(tx, found, "failed", body.result.usage, why)
            await give_up(tx, found, why)
            return
        await _end(tx, found, "done", body.result.usage, None, body.result.model_dump(mode="json"))
        guard = Guard(attempt_id=found.id)
        returned, actor = State.RETURNED, _actor(found)
        await move(tx, found.job_id, locked.state, returned, actor=actor, guard=guard, **values)
        await wake(tx, [found.job_id])
        if locked.lacked:
            await forget_lacks(tx, found.site, actor=actor, run=locked.module)

    key = f"complete|{attempt_id}|{body.native_id}|{body.nonce}"
    payload = body.model_dump(mode="json")
    return await _message(tx, attempt_id, fence, key, "finished", payload, apply)


async def fail(tx: AsyncConnection, attempt_id: int, fence: int, body: Fail) -> Answer:
    """End an attempt without success: RETRY uses a try, ERROR is final.

    What is the site's or the archive's fault uses none: a site that lacks a library gets no
    more jobs of that module, and this one goes elsewhere. Raises Refused when another native
    job was started.
    """

    async def apply(locked: LockedAttempt) -> None:
        found = locked.attempt
        _same_job(found, body.native_id, body.nonce)
        why = body.message or "failed without a word"
        served = not not_its_fault(body)
        outcome = "failed" if served else "unserved"
        if found.cancel_requested:
            outcome = "cancelled"
        await _end(tx, found, outcome, body.usage, why, exit_code=body.exit_code)
        if body.fail_status == "RETRY":
            delay = None if served else pause_s(found.n)
            if lacks_library(body) and locked.module:
                await note_lack(tx, found.site, locked.module, why)
                delay = 0.0  # it waits for no time, but for a site that has the library
            guard, actor = Guard(attempt_id=found.id), _actor(found)
            await try_again(
                tx, found.job_id, actor=actor, why=why, uses_try=served, guard=guard, delay_s=delay
            )
        else:
            await give_up(tx, found, why)

    key = f"fail|{attempt_id}|{body.native_id}|{body.nonce}"
    payload = body.model_dump(mode="json")
    return await _message(tx, attempt_id, fence, key, "failed", payload, apply)


async def output(
    tx: AsyncConnection,
    attempt_id: int,
    fence: int,
    facts: FileFacts,
    keep: Callable[[Attempt], Awaitable[None]],
) -> Answer:
    """Take a small file that a started attempt sends; `keep` puts it in its place.

    `keep` runs before the commit and must bear being repeated. Raises Refused.
    """

    async def apply(locked: LockedAttempt) -> None:
        if locked.attempt.started_by is None:
            raise Refused(f"attempt {attempt_id} was never started")
        await keep(locked.attempt)

    key = f"outputs|{attempt_id}|{facts.name}|{facts.crc32}|{facts.size_bytes}"
    payload = facts.model_dump(mode="json")
    return await _message(tx, attempt_id, fence, key, "output", payload, apply, announce=False)


async def wanted(tx: AsyncConnection, attempt_id: int, fence: int) -> Attempt:
    """The attempt, if it is current. Raises Refused."""
    return _wanted(await find_attempt(tx, attempt_id), attempt_id, fence)


async def refuse_when_too_late(tx: AsyncConnection, attempt_id: int) -> None:
    """Raise TooLate when the attempt ended more than LATE_DAYS ago."""
    age = func.now() - func.make_interval(0, 0, 0, LATE_DAYS)
    long_ago = select(attempt.c.id).where(attempt.c.id == attempt_id, attempt.c.closed_at < age)
    if (await tx.execute(long_ago)).first() is not None:
        raise TooLate(f"attempt {attempt_id} ended more than {LATE_DAYS} days ago")


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
) -> Answer:
    """A driver's evidence that an attempt ended without a word: lost, cancelled, crashed.

    A result that was committed first wins: the attempt is not current any more. What uses no
    try is done again after a pause that grows while it comes again, `free` times at most
    (None: for ever).
    """

    async def apply(_: LockedAttempt) -> None:
        await _end(tx, found, outcome, None, why, exit_code=exit_code)
        await try_again(
            tx,
            found.job_id,
            actor=actor,
            why=why,
            uses_try=uses_try,
            guard=Guard(attempt_id=found.id),
            grows_to_s=None if uses_try else LONGEST_PAUSE_S,
            free=free,
        )

    key = f"ended|{found.id}|{outcome}"
    payload = {"outcome": outcome, "why": why, "exit_code": exit_code}
    kind = "lost" if outcome == "lost" else "failed"
    return await _message(tx, found.id, found.fence, key, kind, payload, apply)


async def refused(tx: AsyncConnection, found: Attempt, *, why: str, actor: str) -> Answer:
    """A driver's word that the site will never take an attempt as it is asked for."""

    async def apply(_: LockedAttempt) -> None:
        await _end(tx, found, "failed", None, why)
        await give_up(tx, found, why)

    key = f"refused|{found.id}"
    payload = {"why": why, "by": actor}
    return await _message(tx, found.id, found.fence, key, "failed", payload, apply)


async def _apply_result(
    tx: AsyncConnection, locked: LockedAttempt, result: Result
) -> dict[str, Any]:
    """Apply a result or nothing of it; most have nothing but details, and need no savepoint."""
    brings = (result.metadata, result.barcode, result.derivatives, result.uploaded)
    if not any(brings) and result.derivatives is None:
        return await apply_result(tx, locked.attempt, result, locked.writes)
    async with tx.begin_nested():
        return await apply_result(tx, locked.attempt, result, locked.writes)


async def _message(
    tx: AsyncConnection,
    attempt_id: int,
    fence: int,
    key: str,
    kind: str,
    payload: Mapping[str, Any],
    apply: Callable[[LockedAttempt], Awaitable[None]],
    *,
    announce: bool = True,
) -> Answer:
    """Receive once, with what is to be announced of it, and apply when current."""
    locked = await _lock_attempt(tx, attempt_id)
    found = locked.attempt
    current = found.current and found.fence == fence
    event = _event(locked, kind) if current and announce else None
    how = "applied" if current else "stale"
    if await receive(tx, _letter(key, kind, found, payload), how, event) is None:
        return Answer("repeated")
    if current:
        await apply(locked)
    return Answer(how)


HOLD = (
    select(
        *(attempt.c[name] for name in ("id", "job_id", "n", "site", "fence")),
        *(attempt.c[name] for name in ("started_by", "nonce", "cancel_requested_at")),
        ((job.c.attempt_id == attempt.c.id) & attempt.c.closed_at.is_(None)).label("current"),
        job.c.state,
        job.c.asset_guid,
        job.c.stage_id,
        stage.c.key,
        stage.c.writes,
        stage.c.kind,
        stage.c.run,
        func.coalesce(site.c.lacks.has_key(stage.c.run), False).label("lacked"),
        asset.c.session_id,
        pipeline.c.name,
    )
    .join(job, job.c.id == attempt.c.job_id)
    .join(stage, stage.c.id == job.c.stage_id)
    .join(asset, asset.c.guid == job.c.asset_guid)
    .join(pipeline, pipeline.c.id == asset.c.pipeline_id)
    .outerjoin(site, site.c.name == attempt.c.site)
    .where(attempt.c.id == bindparam("attempt"), HELD)
    .with_for_update(key_share=True, of=[job, attempt])
)


async def _lock_attempt(tx: AsyncConnection, attempt_id: int) -> LockedAttempt:
    """Lock an attempt and its job, and read them. Raises Refused when there is none.

    Both are locked: after a wait PostgreSQL reads anew only what it locks, and a message
    would be taken for an attempt that was closed meanwhile.
    """
    row = (await tx.execute(HOLD, {"attempt": attempt_id})).one_or_none()
    if row is None:
        raise Refused(f"there is no attempt {attempt_id}")
    return _locked(row)


def _locked(row: Any) -> LockedAttempt:
    found = Attempt(
        id=row.id,
        job_id=row.job_id,
        n=row.n,
        site=row.site,
        fence=row.fence,
        guid=row.asset_guid,
        stage_id=row.stage_id,
        stage=row.key,
        started_by=row.started_by,
        nonce=row.nonce,
        current=bool(row.current),
        cancel_requested=row.cancel_requested_at is not None,
    )
    module = row.run if row.kind == "module" else ""
    session = str(row.session_id)
    return LockedAttempt(found, State(row.state), row.writes, session, row.name, module, row.lacked)


def _wanted(found: Attempt | None, attempt_id: int, fence: int) -> Attempt:
    if found is None or not found.current or found.fence != fence:
        raise Refused(f"attempt {attempt_id} is not wanted any more")
    return found


def _same_job(found: Attempt, native_id: str, nonce: str) -> None:
    if found.started_by is not None and (found.started_by, found.nonce) != (native_id, nonce):
        raise Refused(f"attempt {found.id} was started by native job {found.started_by}")
    if found.started_by is None:
        raise Refused(f"attempt {found.id} was never started")


async def give_up(tx: AsyncConnection, found: Attempt, why: str) -> None:
    """Move an attempt's job to failed; to cancelled when that was asked for."""
    new = State.CANCELLED if found.cancel_requested else State.FAILED
    guard = Guard(attempt_id=found.id)
    await end(tx, found.job_id, new, actor=_actor(found), why=why, guard=guard)


async def _end(
    tx: AsyncConnection,
    found: Attempt,
    outcome: str,
    usage: Usage | None,
    message: str | None,
    result: Mapping[str, Any] | None = None,
    exit_code: int | None = None,
) -> None:
    spent = {} if usage is None else usage.model_dump()
    await close_attempt(
        tx,
        found.id,
        outcome,
        finished_at=func.now(),
        message=message,
        result=result,
        exit_code=exit_code,
        **{name: spent.get(name) for name in ("seconds", "cpu_s", "max_rss_mb")},
    )


def _actor(found: Attempt) -> str:
    return f"attempt:{found.id}"


def _letter(key: str, kind: str, found: Attempt, payload: Mapping[str, Any]) -> Received:
    path = f"/attempts/{found.id}/{key.partition('|')[0]}"
    return Received(key, path, kind, payload, asset_guid=found.guid, attempt_id=found.id)


async def job_event(tx: AsyncConnection, found: Attempt, kind: str) -> dict[str, Any]:
    """The event that announces what happened to an attempt; `kind` as in `hpc.job.<kind>`."""
    statement = (
        select(asset.c.session_id, pipeline.c.name)
        .join(pipeline, pipeline.c.id == asset.c.pipeline_id)
        .where(asset.c.guid == found.guid)
    )
    row = (await tx.execute(statement)).one()
    return _job_event(found, kind, str(row.session_id), row.name)


def _event(locked: LockedAttempt, kind: str) -> dict[str, Any]:
    return _job_event(locked.attempt, kind, locked.session, locked.pipeline)


def _job_event(found: Attempt, kind: str, session: str, pipeline_name: str) -> dict[str, Any]:
    return events.job_event(
        f"hpc.job.{kind}",
        found.guid,
        attempt=found.id,
        n=found.n,
        stage=found.stage,
        session=session,
        pipeline=pipeline_name,
        site=found.site,
        payload={"job": found.job_id, "n": found.n},
    )
