"""The verbs of a job's life: a guarded move and everything that follows from it.

Each verb is one transaction's worth: the move, the rules that leave stages out,
the edges, the wake. Callers add their own effects to the same transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.attempts import close_attempt, open_attempts
from track.jobs.endings import note_ends, with_bounds
from track.jobs.exclusions import exclude_after
from track.jobs.locked import LockedJob, locked_job, locked_jobs
from track.jobs.moves import ANYBODY, Guard, StaleMove, lock, move, move_all
from track.jobs.resolve import ACTOR, downstream, resolve, undo_downstream
from track.jobs.setbacks import Consequence, Setback
from track.records.wake import notify_driver, wake
from track.schema.arrays import any_of
from track.schema.history import record
from track.schema.states import ENDED, MOVES, State
from track.schema.tables import asset, attempt, job

FRESH: dict[str, Any] = {"redo": False, "tries": 0, "effects": {}, "declared": None}
"""What a job starts with that is done again."""


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
    """End what is going on with a job without success, as `Setback` says; where it went.

    Raises StaleMove when it is not the caller's any more.
    """
    setback = Setback(why, uses_try, delay_s, grows_to_s, free)
    went = await try_again_all(tx, {job_id: setback}, actor=actor, guard=guard)
    if job_id not in went:
        raise StaleMove(f"job {job_id} is not held by the caller; it is not tried again")
    return went[job_id]


async def try_again_all(
    tx: AsyncConnection, setbacks: Mapping[int, Setback], *, actor: str, guard: Guard = ANYBODY
) -> dict[int, State]:
    """The same for many jobs: where those went that are still the caller's."""
    if not setbacks:
        return {}
    groups: dict[Consequence, list[LockedJob]] = {}
    for now in await locked_jobs(tx, [*setbacks]):
        found = setbacks[now.id].consequence(now)
        if found.new == State.FAILED:
            found = replace(found, why=await with_bounds(tx, now.id, found.why))
        groups.setdefault(found, []).append(now)
    went: dict[int, State] = {}
    ended: list[LockedJob] = []
    for found, jobs in groups.items():
        values: dict[str, Any] = dict(found.values)
        if found.pause_s is not None:
            later = func.make_interval(0, 0, 0, 0, 0, 0, found.pause_s)
            values["available_at"] = func.now() + later
        by: dict[str, Any] = {"actor": actor, "why": found.why, "guard": guard}
        moved = await _move_locked(tx, jobs, found.new, **by, **values)
        went |= dict.fromkeys((each.id for each in moved), found.new)
        ended += moved if found.new != State.READY else []
    again = [job_id for job_id, new in went.items() if new == State.READY]
    ready = await resolve(tx, again)  # their upstreams may have been undone meanwhile
    await wake(tx, {*again, *ready})
    await _follow_ends(tx, ended)
    return went


async def _move_locked(
    tx: AsyncConnection, jobs: Sequence[LockedJob], new: State, *, guard: Guard, **how: Any
) -> list[LockedJob]:
    """Move locked jobs, each from the state it has; those that were still the caller's."""
    moved: set[int] = set()
    for old in sorted({each.state for each in jobs}):
        if guard == ANYBODY or new in MOVES[old]:  # else whoever held it holds it no longer
            ids = [each.id for each in jobs if each.state == old]
            moved |= {*await move_all(tx, ids, old, new, guard=guard, **how)}
    return [each for each in jobs if each.id in moved]


async def _follow_ends(tx: AsyncConnection, jobs: Sequence[LockedJob]) -> None:
    """Their assets no longer count as in flight; an edge may accept such an end too."""
    if jobs:
        guids = {each.guid for each in jobs}
        await release_assets(tx, guids)
        await _follow(tx, guids, [each.id for each in jobs])


async def end(
    tx: AsyncConnection,
    /,
    job_id: int,
    new: State,
    *,
    actor: str,
    why: str,
    guard: Guard = ANYBODY,
) -> State:
    """Move a job to failed or cancelled; its asset no longer counts as in flight.

    An edge may accept that end too. Raises StaleMove when it is not the caller's any more.
    """
    if job_id not in await end_all(tx, {job_id: why}, new, actor=actor, guard=guard):
        raise StaleMove(f"job {job_id} is not held by the caller; wanted {new}")
    return new


async def end_all(
    tx: AsyncConnection,
    whys: Mapping[int, str],
    new: State,
    *,
    actor: str,
    guard: Guard = ANYBODY,
) -> list[int]:
    """The same for many jobs, each with its reason: those that were still the caller's."""
    groups: dict[str, list[LockedJob]] = {}
    for now in await locked_jobs(tx, [*whys]):
        groups.setdefault(whys[now.id], []).append(now)
    ended: list[LockedJob] = []
    for why, jobs in groups.items():
        ended += await _move_locked(tx, jobs, new, guard=guard, actor=actor, why=why)
    await _follow_ends(tx, ended)
    return sorted(each.id for each in ended)


async def resubmit(tx: AsyncConnection, job_id: int, *, actor: str, why: str) -> list[int]:
    """Do a finished, failed or cancelled job again, and all that was built on it."""
    return await resubmit_all(tx, [job_id], actor=actor, why=why)


async def resubmit_all(
    tx: AsyncConnection, job_ids: Sequence[int], *, actor: str, why: str
) -> list[int]:
    """Do jobs again, all of which have ended; the ids that became ready.

    As many statements for a thousand as for one.
    """
    found = await locked_jobs(tx, job_ids)
    fresh: dict[str, Any] = FRESH | {"available_at": func.now(), "pauses": 0}
    by: dict[str, Any] = {"actor": actor, "why": why, "guard": ANYBODY}
    moved = await _move_locked(tx, found, State.WAITING, **by, **fresh)
    ids = [each.id for each in moved]
    undone = await undo_downstream(tx, ids, actor=actor)
    await reopen(tx, [*ids, *undone])
    # What was finished by the edges of its day may have no part in those of today.
    ready = await resolve(tx, [*ids, *undone])
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
    if ends := (await tx.execute(closings, asked)).scalars().all():
        locked = await locked_jobs(tx, ends)
        again_ids = [each.id for each in locked if each.state == State.DONE]
        why = "its asset was opened again after its end"
        await resubmit_all(tx, again_ids, actor=ACTOR, why=why)
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
    # One list of both: of two conditions, either of which will do, every asset would be asked.
    mine = asset.alias()
    own = select(mine.c.guid).where(any_of(mine.c.guid, guids))
    kin = select(asset.c.guid).where(asset.c.guid.in_(own.union(_roots(guids))))
    await tx.execute(kin.order_by(asset.c.guid).with_for_update(key_share=True, of=asset))


def _roots(guids: Collection[str]) -> Select[Any]:
    """The specimens that these assets belong to."""
    mine = asset.alias()
    root = func.coalesce(mine.c.parent_guid, mine.c.guid)
    return select(root).where(any_of(mine.c.guid, guids))


async def release_assets(tx: AsyncConnection, guids: Collection[str]) -> None:
    """The specimens that these assets belong to no longer count against their throttle."""
    await _release(tx, asset.c.guid.in_(_roots(guids)))


async def _release(tx: AsyncConnection, which: ColumnElement[bool]) -> None:
    """Note of specimens that they left their throttle. The one place where room is made so."""
    left = asset.c.admitted_at.is_not(None) & asset.c.released_at.is_(None) & which
    await tx.execute(update(asset).where(left).values(released_at=func.now()))
