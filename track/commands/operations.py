"""What an operator may do to single jobs: do again, leave out, stop, send elsewhere.

Each verb is one transaction, may be repeated, and answers with one line that says what
was, what is now, and why nothing was done when nothing was.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from sqlalchemy import Row, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import sentence
from schemas.sites import KINDS_HERE
from track.commands.legacy import warn
from track.commands.selection import CannotDo, check_one_of, site_row
from track.jobs import verbs
from track.jobs.attempts import DECLARED, close_attempt
from track.jobs.locked import locked_jobs
from track.jobs.moves import Guard, lock
from track.jobs.outputs import forsake_outputs, note_retrieved, outputs_awaited
from track.jobs.sites import is_bound, is_driven, runs_scripts
from track.records.documents import mark_unpushed
from track.records.wake import notify_driver
from track.schema.arrays import any_of
from track.schema.history import record, record_all
from track.schema.states import AT_SITE, IN_HAND, State
from track.schema.tables import asset, attempt, document, file, job, site, stage

AGAIN = frozenset({State.DONE, State.EXCLUDED, State.FAILED, State.CANCELLED})
"""Where a job has ended, and nobody is at it any more."""


@dataclass(frozen=True)
class ResultRow:
    """One line of an answer: what it is about, what was, what is now, and a remark."""

    guid: str
    stage: str
    was: str
    now: str
    note: str = ""

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return self.was != self.now


async def _read(tx: AsyncConnection, job_id: int) -> Row[Any]:
    """A job under its lock, read after the lock was given: what is decided on stays true."""
    await lock(tx, [job_id])
    current = select(attempt.c.id).join(job, job.c.attempt_id == attempt.c.id)
    current = current.where(job.c.id == job_id)
    # A driver that is taking the attempt into a batch has locked the attempt's row.
    await tx.execute(current.with_for_update(key_share=True, of=attempt))
    grants = any_of(site.c.kind, KINDS_HERE) | site.c.definition["callback"].astext.is_not(None)
    statement = (
        select(
            job,
            *(stage.c[name] for name in ("key", "kind", "run", "sites")),
            asset.c.quarantine,
            *(attempt.c[name] for name in ("site", "batch_id", "cancel_requested_at")),
            grants.label("grants"),
        )
        .join(stage, stage.c.id == job.c.stage_id)
        .join(asset, asset.c.guid == job.c.asset_guid)
        .outerjoin(attempt, attempt.c.id == job.c.attempt_id)
        .outerjoin(site, site.c.name == attempt.c.site)
        .where(job.c.id == job_id)
    )
    return (await tx.execute(statement)).one()


async def _line(tx: AsyncConnection, was: Row[Any], note: str = "") -> ResultRow:
    now = (await tx.execute(select(job.c.state).where(job.c.id == was.id))).scalar_one()
    return ResultRow(was.asset_guid, was.key, was.state, now, note)


async def resubmit(tx: AsyncConnection, job_id: int, *, actor: str, why: str) -> ResultRow:
    """Do a finished, failed or cancelled job again, and all that was built on it.

    One that will run anyway is left as it is, but does not wait for its time; one that came back
    and waits for its outputs waits no longer. An asset in quarantine leaves it: whatever failed
    with it is opened again too.
    """
    row = await _read(tx, job_id)
    if await outputs_awaited(tx, job_id):
        return await _repeat_without_outputs(tx, row, actor, why)
    if row.state in IN_HAND:
        return await _line(tx, row, "it is being done; cancel it first to do it anew")
    if row.state == State.READY and await verbs.hurry(tx, job_id, actor=actor, why=why):
        return await _line(tx, row, "it was put off, and is tried now")
    if row.state in (State.WAITING, State.READY, State.ABSENT):
        return await _line(tx, row, "it runs as soon as it can; nothing to do")
    if row.quarantine is not None:
        await _lift_quarantine(tx, row, actor)
    await verbs.resubmit(tx, job_id, actor=actor, why=why)
    return await _line(tx, row)


async def resubmit_all(
    tx: AsyncConnection, job_ids: Sequence[int], *, actor: str, why: str
) -> list[ResultRow]:
    """The same for a page of jobs: those that have ended are done again together."""
    found = {now.id: now for now in await locked_jobs(tx, job_ids)}
    over = [each for each in job_ids if found[each].state in AGAIN]
    told = (
        select(job.c.id, job.c.asset_guid, stage.c.key, job.c.state)
        .join(stage, stage.c.id == job.c.stage_id)
        .join(asset, asset.c.guid == job.c.asset_guid)
        .where(any_of(job.c.id, over), asset.c.quarantine.is_(None))
    )
    plain = {row.id: row for row in await tx.execute(told)}
    await verbs.resubmit_all(tx, [*plain], actor=actor, why=why)
    states = select(job.c.id, job.c.state).where(any_of(job.c.id, plain))
    now = {row.id: row.state for row in await tx.execute(states)}
    return [
        ResultRow(plain[each].asset_guid, plain[each].key, plain[each].state, now[each])
        if each in plain
        else await resubmit(tx, each, actor=actor, why=why)
        for each in job_ids
    ]


async def _lift_quarantine(tx: AsyncConnection, row: Row[Any], actor: str) -> None:
    guid, old = row.asset_guid, sentence(row.quarantine)
    await tx.execute(update(asset).where(asset.c.guid == guid).values(quarantine=None))
    await record(tx, actor=actor, what="asset.reopened", asset_guid=guid, old=old)
    others = select(job.c.id).where(
        job.c.asset_guid == guid, job.c.state == State.FAILED, job.c.id != row.id
    )
    for other in (await tx.execute(others.order_by(job.c.id))).scalars().all():
        await verbs.resubmit(tx, other, actor=actor, why="its asset left quarantine")


async def skip(tx: AsyncConnection, job_id: int, *, actor: str, why: str) -> ResultRow:
    """Leave a job out, so that what follows may run, unless it is being done.

    One that waits only for its outputs is not.
    """
    row = await _read(tx, job_id)
    if await outputs_awaited(tx, job_id):
        await _fail_without_outputs(tx, row, actor, why)
        await verbs.skip(tx, job_id, actor=actor, why=why)
        return await _line(tx, row, "nobody waits for its outputs any more")
    if row.state in IN_HAND:
        return await _line(tx, row, "it is being done; cancel it first")
    if row.state in (State.DONE, State.EXCLUDED, State.ABSENT):
        return await _line(tx, row, f"it is {row.state}: what follows may run already")
    await verbs.skip(tx, job_id, actor=actor, why=why)
    return await _line(tx, row)


async def cancel(tx: AsyncConnection, job_id: int, *, actor: str, why: str) -> ResultRow:
    """Stop a job: at once while nothing runs for it, else by asking its site.

    What came back from a site is finished, and a finish that is committed before the
    evidence of the end wins.
    """
    row = await _read(tx, job_id)
    match State(row.state):
        case State.WAITING | State.READY:
            note = ""
        case State.CLAIMED:
            note = "what its dispatcher had begun outside may still end; nothing follows it"
        case State.QUEUED if row.batch_id is None or (row.grants and row.kind != "script"):
            await _ask_to_stop(tx, row, actor, why)
            await close_attempt(tx, row.attempt_id, "cancelled", message=why)
            note = f"taken out of the queue of {row.site}"
        case State.QUEUED | State.RUNNING:
            first = await _ask_to_stop(tx, row, actor, why)
            asked = "is asked to stop it" if first else "was asked already"
            return await _line(tx, row, f"{row.site} {asked}; it is cancelled once it has ended")
        case State.RETURNED if await outputs_awaited(tx, job_id):
            await _fail_without_outputs(tx, row, actor, why)
            return await _line(tx, row, "nobody waits for its outputs any more")
        case State.RETURNED:
            return await _line(tx, row, "it has come back: cancel the stage that follows")
        case _:
            return await _line(tx, row, f"it is {row.state}: nothing to stop")
    guard = Guard(attempt_id=row.attempt_id)
    await verbs.end(tx, job_id, State.CANCELLED, actor=actor, why=why, guard=guard)
    return await _line(tx, row, note)


async def _ask_to_stop(tx: AsyncConnection, row: Row[Any], actor: str, why: str) -> bool:
    """Note that an attempt is not wanted any more; whether this call was the first to."""
    if row.cancel_requested_at is not None:
        return False
    mine = update(attempt).where(attempt.c.id == row.attempt_id)
    await tx.execute(mine.values(cancel_requested_at=func.now()))
    await _record(tx, row, "attempt.cancel", actor, why)
    await notify_driver(tx, row.site)
    return True


async def _record(tx: AsyncConnection, row: Row[Any], what: str, actor: str, why: str) -> None:
    ids = {"asset_guid": row.asset_guid, "job_id": row.id, "attempt_id": row.attempt_id}
    await record(tx, actor=actor, what=what, why=why, **ids)


async def declare_lost(tx: AsyncConnection, job_id: int, *, actor: str, why: str) -> ResultRow:
    """End an attempt at a site that a person declares over, and of whose end nothing is known.

    The attempt is closed: whatever may still come of it changes nothing. Its job is done
    again without losing a try, or is cancelled when that was asked for. So is one that came
    back and whose outputs cannot be brought.
    """
    row = await _read(tx, job_id)
    if await outputs_awaited(tx, job_id):
        return await _repeat_without_outputs(tx, row, actor, why)
    if row.state not in AT_SITE:
        return await _line(tx, row, f"it is {row.state}: no site has it")
    if row.batch_id is None:
        return await _line(tx, row, f"{row.site} has not taken it: cancel it, or move it")
    reason = f"declared lost{f': {why}' if why else ''}"
    await close_attempt(tx, row.attempt_id, DECLARED, finished_at=func.now(), message=reason)
    await _record(tx, row, "attempt.lost", actor, why)
    await _repeat(tx, row, actor, reason)
    await notify_driver(tx, row.site)
    return await _line(tx, row, f"{row.site} is told to stop whatever may be left of it")


async def _give_up_outputs(tx: AsyncConnection, row: Row[Any], actor: str, why: str) -> str:
    """Wait for a job's outputs no longer; the job's reason for that."""
    reason = f"its outputs were given up{f': {why}' if why else ''}"
    await forsake_outputs(tx, row.attempt_id, reason)
    await _record(tx, row, "outputs.given_up", actor, why)
    return reason


async def _repeat(tx: AsyncConnection, row: Row[Any], actor: str, why: str) -> None:
    guard = Guard(attempt_id=row.attempt_id)
    await verbs.try_again(
        tx, row.id, actor=actor, why=why, uses_try=False, guard=guard, delay_s=0.0
    )


async def _repeat_without_outputs(
    tx: AsyncConnection, row: Row[Any], actor: str, why: str
) -> ResultRow:
    await _repeat(tx, row, actor, await _give_up_outputs(tx, row, actor, why))
    return await _line(tx, row, "nobody waits for its outputs any more; it is done again")


async def decide_outputs(
    tx: AsyncConnection, job_id: int, *, again: bool, actor: str, why: str
) -> ResultRow:
    """Wait no longer for what a job made at its site and nobody can bring.

    It is done again without losing a try, or counts as done without them, which its warning says.
    """
    row = await _read(tx, job_id)
    if not await outputs_awaited(tx, job_id):
        return await _line(tx, row, f"it is {row.state}, and no outputs of it are awaited")
    if again:
        return await _repeat_without_outputs(tx, row, actor, why)
    await _record(tx, row, "outputs.done_without", actor, why)
    await warn(tx, job_id, f"done without its outputs: {why}")
    await note_retrieved(tx, row.attempt_id)
    note = "what follows and reads them will not find them"
    return ResultRow(row.asset_guid, row.key, "outputs awaited", "done without them", note)


async def _fail_without_outputs(tx: AsyncConnection, row: Row[Any], actor: str, why: str) -> None:
    reason = await _give_up_outputs(tx, row, actor, why)
    guard = Guard(attempt_id=row.attempt_id)
    await verbs.end(tx, row.id, State.FAILED, actor=actor, why=reason, guard=guard)


async def move_to(
    tx: AsyncConnection, job_id: int, target: str, *, actor: str, why: str
) -> ResultRow:
    """Take a job out of its site's queue and put it into another's; no try is used.

    Raises CannotDo when the target is unknown, closed, degraded, or driven by nobody.
    """
    there = await open_site(tx, target)
    row = await _read(tx, job_id)
    was = ResultRow(row.asset_guid, row.key, row.site or "", row.site or "")
    if (refusal := await _why_not(tx, row, there.name)) is not None:
        return replace(was, note=refusal)
    await verbs.move_site(tx, job_id, target, actor=actor, why=why)
    await notify_driver(tx, row.site)
    return replace(was, now=target)


async def open_site(tx: AsyncConnection, name: str) -> Row[Any]:
    """A site that takes work. Raises CannotDo."""
    found = await site_row(tx, name, "to")
    if not found.open:
        raise CannotDo(f"to: site {name} is switched off; switch it on first")
    if found.degraded is not None:
        raise CannotDo(f"to: site {name} is degraded: {found.degraded}")
    if not await is_driven(tx, name):
        raise CannotDo(f"to: nobody drives site {name}: is `refinery sites` running?")
    return found


async def _why_not(tx: AsyncConnection, row: Row[Any], target: str) -> str | None:
    if row.state != State.QUEUED:
        return f"it is {row.state}; only a queued job changes its site"
    if row.site == target:
        return "it is there already"
    if row.sites is not None and target not in row.sites:
        return f"its stage runs only at {', '.join(row.sites)}"
    if not row.grants and row.batch_id is not None:
        return f"{row.site} has taken it and alone can say whether it has begun: cancel it instead"
    if row.kind == "script" and not await runs_scripts(tx, target):
        return f"{target} runs no scripts: give it a folder `scripts`"
    if await is_bound(tx, row.stage_id):
        elsewhere = exists().where(
            file.c.asset_guid == row.asset_guid, file.c.site.is_not(None), file.c.site != target
        )
        if (await tx.execute(select(elsewhere))).scalar_one():
            return "its files lie at the site that made them"
    return None


async def queued_at(tx: AsyncConnection, name: str) -> list[int]:
    """The jobs in a site's queue. Raises CannotDo when there is no such site."""
    await site_row(tx, name, "leaving")
    mine = select(job.c.id).join(attempt, attempt.c.id == job.c.attempt_id)
    mine = mine.where(attempt.c.site == name, job.c.state == State.QUEUED)
    return list((await tx.execute(mine.order_by(job.c.id))).scalars())


async def choose_to_push(
    tx: AsyncConnection,
    guid: str | None,
    session_id: UUID | None,
    *,
    everything: bool,
    actor: str,
) -> list[str]:
    """The assets of one guid or one session whose metadata the archive lacks.

    With `everything` all of them: the archive is taken to lack it. Raises CannotDo.
    """
    await check_one_of(tx, guid, session_id)
    mine = asset.c.guid == guid if guid is not None else asset.c.session_id == session_id
    statement = select(document.c.asset_guid).join(asset).where(mine)
    if not everything:
        statement = statement.where(document.c.revision > document.c.ars_revision)
    guids = list((await tx.execute(statement.order_by(document.c.asset_guid))).scalars())
    if everything:
        await mark_unpushed(tx, guids)
        rows = [{"asset_guid": each} for each in guids]
        await record_all(tx, rows, actor=actor, what="metadata.push")
    return guids
