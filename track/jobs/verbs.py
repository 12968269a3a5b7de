"""The verbs of a job's life: a guarded move and everything that follows from it.

Each verb is one transaction's worth: the move, the rules that leave stages out,
the edges, the wake. Callers add their own effects to the same transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.attempts import close_attempt, open_attempts
from track.jobs.endings import note_ends, with_bounds
from track.jobs.exclusions import exclude_after
from track.jobs.moves import ANYBODY, Guard, StaleMove, lock, move, move_all
from track.jobs.resolve import ACTOR, downstream, resolve, undo_downstream
from track.records.wake import notify_driver, wake
from track.schema.arrays import any_of
from track.schema.history import record
from track.schema.states import ENDED, State
from track.schema.tables import asset, attempt, job, stage

MAX_DOUBLINGS = 20

BACKOFF_S = 10.0
"""Delay before the first repetition; doubled with each further try, at most an hour."""

FRESH: dict[str, Any] = {"redo": False, "tries": 0, "effects": {}, "declared": None}
"""What a job starts with that is done again."""


@dataclass(frozen=True)
class LockedJob:
    """A job as it is read under its lock."""

    id: int
    state: State
    guid: str
    stage_id: int
    attempt_id: int | None
    tries: int
    retries: int
    redo: bool
    cancel_requested: bool
    finalises: bool  # its stage is the last of its asset
    pauses: int
    at: datetime


async def locked_jobs(tx: AsyncConnection, job_ids: Sequence[int]) -> list[LockedJob]:
    """Lock jobs and read how they stand, by their ids; those that there are."""
    await lock(tx, job_ids)
    finalises = (stage.c.kind == "builtin") & (stage.c.run == "finalise")
    statement = (
        select(
            *(job.c[each] for each in ("id", "state", "stage_id", "attempt_id", "tries", "redo")),
            job.c.pauses,
            job.c.asset_guid.label("guid"),
            stage.c.retries,
            attempt.c.cancel_requested_at.is_not(None).label("cancel_requested"),
            finalises.label("finalises"),
            func.now().label("at"),
        )
        .join(stage, stage.c.id == job.c.stage_id)
        .outerjoin(attempt, attempt.c.id == job.c.attempt_id)
        .where(any_of(job.c.id, job_ids))
        .order_by(job.c.id)
    )
    rows = (await tx.execute(statement)).mappings()
    return [LockedJob(**{**row, "state": State(row["state"])}) for row in rows]


async def locked_job(tx: AsyncConnection, job_id: int) -> LockedJob:
    """Lock a job and read how it stands."""
    (found,) = await locked_jobs(tx, [job_id])
    return found


async def enqueue_at_site(
    tx: AsyncConnection, job_id: int, site: str, *, dispatcher_id: UUID, actor: str
) -> int:
    """Put a claimed job into a site's queue as a new attempt; the attempt's id.

    Raises StaleMove when the dispatcher does not hold it.
    """
    await lock(tx, [job_id])
    queued = await enqueue_all(tx, [job_id], site, dispatcher_id=dispatcher_id, actor=actor)
    if job_id not in queued:
        raise StaleMove(f"job {job_id} is not claimed by dispatcher {dispatcher_id}")
    return queued[job_id]


async def enqueue_all(
    tx: AsyncConnection, job_ids: Sequence[int], site: str, *, dispatcher_id: UUID, actor: str
) -> dict[int, int]:
    """Put those of these locked jobs that a dispatcher has claimed into a site's queue.

    Their new attempts, by job.
    """
    mine = (job.c.state == State.CLAIMED) & (job.c.dispatcher_id == dispatcher_id)
    attempts = await open_attempts(tx, job_ids, site, mine)
    await _queue(tx, attempts, State.CLAIMED, site, actor=actor)
    return attempts


async def move_site(tx: AsyncConnection, job_id: int, site: str, *, actor: str, why: str) -> int:
    """Close a queued job's attempt and open the next at another site; no try is used."""
    now = await locked_job(tx, job_id)
    if now.state != State.QUEUED or now.attempt_id is None:
        raise StaleMove(f"job {job_id} is {now.state}; only a queued one changes its site")
    if now.cancel_requested:
        raise StaleMove(f"job {job_id} is being cancelled; it goes nowhere else")
    await close_attempt(tx, now.attempt_id, "superseded", message=why)
    attempts = await open_attempts(tx, [job_id], site)
    await _queue(tx, attempts, State.QUEUED, site, actor=actor, why=why)
    return attempts[job_id]


async def _queue(
    tx: AsyncConnection, attempts: Mapping[int, int], old: State, site: str, **by: Any
) -> None:
    """Move locked jobs to their new attempts and notify the site's driver."""
    newest = select(func.max(attempt.c.id)).where(attempt.c.job_id == job.c.id).scalar_subquery()
    moved = await move_all(tx, [*attempts], old, State.QUEUED, attempt_id=newest, **by)
    if moved:
        await notify_driver(tx, site)


async def mark_returned(tx: AsyncConnection, job_id: int, *, attempt_id: int, actor: str) -> None:
    """Record that an attempt came back with a result; its subflow does what remains."""
    now = await locked_job(tx, job_id)
    guard = Guard(attempt_id=attempt_id)
    await move(tx, job_id, now.state, State.RETURNED, actor=actor, guard=guard)


async def finish(
    tx: AsyncConnection, job_id: int, *, actor: str, guard: Guard = ANYBODY, why: str = ""
) -> list[int]:
    """Claimed or returned → done, rules and edges applied; the ids that became ready.

    Raises StaleMove when it is neither, or not the caller's to finish.
    """
    done, ready = await finish_all(tx, [job_id], actor=actor, guard=guard, why=why)
    if done != [job_id]:
        raise StaleMove(f"job {job_id} is not claimed or returned and held by the caller")
    return ready


async def finish_all(
    tx: AsyncConnection,
    job_ids: Sequence[int],
    *,
    actor: str,
    guard: Guard = ANYBODY,
    why: str = "",
) -> tuple[list[int], list[int]]:
    """Finish those of these jobs that still can be: their ids, and those that became ready.

    With its last stage an asset becomes final, unless that has to be done again. As many
    statements for a thousand as for one.
    """
    found = await locked_jobs(tx, job_ids)
    done: list[int] = []
    for state in (State.CLAIMED, State.RETURNED):
        ids = [each.id for each in found if each.state == state]
        done += await move_all(
            tx, ids, state, State.DONE, actor=actor, guard=guard, why=why, pauses=0
        )
    finished = [each for each in found if each.id in {*done}]
    ready = await _redo(tx, [each.id for each in finished if each.redo], actor)
    over = [each for each in finished if not each.redo]
    final = [each.guid for each in over if each.finalises]
    await note_ends(tx, final)
    # The end of a derivative is not that of its specimen.
    await _release(tx, any_of(asset.c.guid, final) & asset.c.parent_guid.is_(None))
    ids = [each.id for each in over]
    left_out = await exclude_after(tx, ids, actor=actor)
    guids = {each.guid for each in over}
    ready += await _follow(tx, guids, [*ids, *left_out], final=final)
    return sorted(done), ready


async def _follow(
    tx: AsyncConnection,
    guids: Collection[str],
    changed: Sequence[int],
    *,
    final: Collection[str] = (),
) -> list[int]:
    """Resolve what hangs on jobs of these assets that ended; the ids that became ready.

    `final`: those of the assets whose last stage is among them.
    """
    if not guids:
        return []
    ready = await resolve(tx, await downstream(tx, changed))
    await release_if_over(tx, guids, at_end=final)
    await wake(tx, ready)
    return ready


async def apply_rules(tx: AsyncConnection, job_id: int, *, actor: str) -> list[int]:
    """Ask a done job's rules again, for what it brought came later; the ids that became ready."""
    now = await locked_job(tx, job_id)
    if now.state != State.DONE:
        return []
    return await _follow(tx, [now.guid], await exclude_after(tx, [job_id], actor=actor))


async def _redo(tx: AsyncConnection, job_ids: Sequence[int], actor: str) -> list[int]:
    """Jobs whose ground moved while they ran go through their edges again."""
    why = "an earlier stage was done again meanwhile"
    moved = await move_all(tx, job_ids, State.DONE, State.WAITING, actor=actor, why=why, **FRESH)
    ready = await resolve(tx, moved)
    await wake(tx, ready)
    return ready


async def try_again(
    tx: AsyncConnection,
    job_id: int,
    *,
    actor: str,
    why: str,
    uses_try: bool,
    guard: Guard = ANYBODY,
    delay_s: float | None = None,
    grows_to_s: float | None = None,
    free: int | None = None,
) -> State:
    """End what is going on with a job without success; where it went.

    Cancelled when that was asked for, failed when its tries are used up, else ready
    after `delay_s` (default: backing off). `uses_try` is False for what is not the
    job's own failure: our crash, a degraded site, a full queue, a lost answer. What came
    back is finished: a cancel does not reach it any more.

    `grows_to_s`: the pause doubles with each time in a row, up to this, and the job's reason
    says when it is tried again. A success, or a person who resubmits it, ends the row.
    `free`: after so many in a row each time uses a try, so that in the end a person decides.
    """
    now = await locked_job(tx, job_id)
    uses_try = uses_try or (free is not None and now.pauses >= free)
    if now.cancel_requested and now.state != State.RETURNED:
        return await end(tx, job_id, State.CANCELLED, actor=actor, why=why, guard=guard)
    tries = now.tries + uses_try
    if uses_try and tries > now.retries:
        why = await with_bounds(tx, job_id, why)
        return await end(tx, job_id, State.FAILED, actor=actor, why=why, guard=guard, tries=tries)
    pause = delay_s if delay_s is not None else min(3600.0, BACKOFF_S * 2.0 ** max(0, tries - 1))
    values: dict[str, Any] = {"tries": tries}
    if grows_to_s is not None:
        if now.pauses:
            why = f"{why}; put off {now.pauses + 1} times in a row by now"
        pause = min(max(grows_to_s, pause), pause * 2.0 ** min(now.pauses, MAX_DOUBLINGS))
        again = (now.at + timedelta(seconds=pause)).astimezone()
        why = f"{why}; it is tried again at {again:%H:%M:%S}"
        values["pauses"] = now.pauses + 1
    values["available_at"] = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, pause)
    await move(tx, job_id, now.state, State.READY, actor=actor, why=why, guard=guard, **values)
    await resolve(tx, [job_id])  # its upstreams may have been undone meanwhile
    await wake(tx, [job_id])
    return State.READY


async def end(
    tx: AsyncConnection,
    /,
    job_id: int,
    new: State,
    *,
    actor: str,
    why: str,
    guard: Guard = ANYBODY,
    **values: Any,
) -> State:
    """Move a job to failed or cancelled; its asset no longer counts as in flight.

    An edge may accept that end too.
    """
    now = await locked_job(tx, job_id)
    await move(tx, job_id, now.state, new, actor=actor, why=why, guard=guard, **values)
    await release_asset(tx, now.guid)
    await _follow(tx, [now.guid], [job_id])
    return new


async def resubmit(tx: AsyncConnection, job_id: int, *, actor: str, why: str) -> list[int]:
    """Do a finished, failed or cancelled job again, and all that was built on it."""
    now = await locked_job(tx, job_id)
    fresh: dict[str, Any] = FRESH | {"available_at": func.now(), "pauses": 0}
    await move(tx, job_id, now.state, State.WAITING, actor=actor, why=why, **fresh)
    undone = await undo_downstream(tx, [job_id], actor=actor)
    await reopen(tx, [job_id, *undone])
    ready = await resolve(tx, [job_id])
    await wake(tx, ready)
    return ready


async def hurry(tx: AsyncConnection, job_id: int, *, actor: str, why: str) -> bool:
    """Let a ready job that was put off run now, its pauses short again; False if it may anyway."""
    now = await locked_job(tx, job_id)
    put_off = (
        (job.c.id == job_id) & (job.c.state == State.READY) & (job.c.available_at > func.now())
    )
    sooner = update(job).where(put_off).values(available_at=func.now(), pauses=0)
    if (await tx.execute(sooner)).rowcount == 0:
        return False
    await record(tx, actor=actor, what="job.hurried", asset_guid=now.guid, job_id=job_id, why=why)
    await wake(tx, [job_id])
    return True


async def skip(tx: AsyncConnection, job_id: int, *, actor: str, why: str) -> list[int]:
    """Leave a job out that nobody is at, so that what follows may run."""
    now = await locked_job(tx, job_id)
    await move(tx, job_id, now.state, State.EXCLUDED, actor=actor, why=why)
    if now.state in (State.FAILED, State.CANCELLED):
        await reopen(tx, [job_id])
    return await _follow(tx, [now.guid], [job_id])


async def reopen(tx: AsyncConnection, job_ids: list[int]) -> None:
    """The assets of these jobs are not final any more: there is something to do again.

    One that had left its throttle is admitted anew, or more would be in flight than may be.
    When these jobs have ended, its closing stage is done again (see `release_if_over`).
    """
    mine = asset.c.guid.in_(select(job.c.asset_guid).where(any_of(job.c.id, job_ids)))
    admitted = case((asset.c.released_at.is_(None), asset.c.admitted_at))
    reopened = case((asset.c.finalised_at.is_not(None), func.now()), else_=asset.c.reopened_at)
    values = {"finalised_at": None, "reopened_at": reopened}
    values |= {"released_at": None, "admitted_at": admitted}
    await tx.execute(update(asset).where(mine).values(values))


async def fail_waiting(tx: AsyncConnection, guid: str, *, actor: str, why: str) -> list[int]:
    """Fail what still waits for an asset whose source is quarantined."""
    mine = select(job.c.id).where(job.c.asset_guid == guid, job.c.state == State.WAITING)
    ids = list((await tx.execute(mine.order_by(job.c.id))).scalars())
    return await move_all(tx, ids, State.WAITING, State.FAILED, actor=actor, why=why)


CLOSINGS = """
    SELECT j.id FROM track.asset a
    JOIN track.job j ON j.asset_guid = a.guid AND j.state = 'done'
    JOIN track.stage s ON s.id = j.stage_id AND s.pipeline_id = a.pipeline_id
     AND s.archived_at IS NULL AND s.kind = 'builtin' AND s.run = 'finalise'
    WHERE (a.share_mb IS NOT NULL OR a.reopened_at IS NOT NULL)
      AND NOT EXISTS (
        SELECT 1 FROM track.job o JOIN track.stage os ON os.id = o.stage_id
        WHERE o.asset_guid = a.guid AND CASE WHEN o.state IN ('failed', 'cancelled')
            -- What gave up before its end was accepted by it.
            THEN os.archived_at IS NULL AND o.updated_at >= a.reopened_at
            ELSE o.state NOT IN ('done', 'excluded', 'absent') END)
"""
"""The ends of assets that were opened again since, and with which nothing is left to do."""


async def release_if_over(
    tx: AsyncConnection, guids: Collection[str] | None = None, *, at_end: Collection[str] = ()
) -> None:
    """Let go of specimens of which nothing is left to do, whatever their last stage was.

    One that was opened again after its end has its closing stage done again first: its share
    is closed there. Without guids, of every such specimen. Those `at_end` stay where they are;
    any other of `guids` that was at its end has that still to come.
    """
    if guids is not None:
        await _lock_kin(tx, guids)
        goes_on = any_of(asset.c.guid, {*guids} - {*at_end}) & asset.c.finalised_at.is_not(None)
        again = {"finalised_at": None, "reopened_at": func.now()}
        await tx.execute(update(asset).where(goes_on).values(again))
    theirs = "" if guids is None else " AND a.guid = ANY(:guids)"
    closings = text(f"{CLOSINGS}{theirs} ORDER BY j.id")
    asked = {} if guids is None else {"guids": [*guids]}
    for job_id in (await tx.execute(closings, asked)).scalars().all():
        if (await locked_job(tx, job_id)).state == State.DONE:
            await resubmit(tx, job_id, actor=ACTOR, why="its asset was opened again after its end")
    kin = asset.alias()
    open_ = (
        select(job.c.id)
        .join(kin, kin.c.guid == job.c.asset_guid)
        .where((kin.c.guid == asset.c.guid) | (kin.c.parent_guid == asset.c.guid))
        .where(job.c.state.not_in(sorted(ENDED)))
    )
    over = ~open_.correlate(asset).exists()
    await _release(tx, over if guids is None else over & asset.c.guid.in_(_roots(guids)))


async def _lock_kin(tx: AsyncConnection, guids: Collection[str]) -> None:
    """Lock assets and what they were made of, before a second statement judges them.

    Two stages that finish at once would else each see the other unfinished.
    """
    mine = any_of(asset.c.guid, guids) | asset.c.guid.in_(_roots(guids))
    kin = select(asset.c.guid).where(mine)
    await tx.execute(kin.order_by(asset.c.guid).with_for_update(key_share=True))


def _roots(guids: Collection[str]) -> Select[Any]:
    """The specimens that these assets belong to."""
    mine = asset.alias()
    root = func.coalesce(mine.c.parent_guid, mine.c.guid)
    return select(root).where(any_of(mine.c.guid, guids))


async def release_asset(tx: AsyncConnection, guid: str) -> None:
    """The specimen that this asset belongs to no longer counts against its throttle."""
    await _release(tx, asset.c.guid.in_(_roots([guid])))


async def _release(tx: AsyncConnection, which: ColumnElement[bool]) -> None:
    """Note of specimens that they left their throttle. The one place where room is made so."""
    left = asset.c.admitted_at.is_not(None) & asset.c.released_at.is_(None) & which
    await tx.execute(update(asset).where(left).values(released_at=func.now()))
