"""Claims: a dispatcher takes ready jobs, within what the pipeline's throttle allows.

The pipeline rows are locked, then counted (`track.jobs.room`), then taken, so that two
dispatchers cannot both fill the last place; a bound of the archive as a whole is locked last.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.candidates import Candidates, lock_pipelines
from track.jobs.moves import lock, move_all
from track.jobs.outputs import AWAITED, hold_awaited
from track.jobs.resolve import resolve
from track.jobs.room import Room, rooms_of
from track.records.wake import wake
from track.schema.arrays import any_of
from track.schema.states import State
from track.schema.tables import asset, dispatcher, job

NEED = (
    *("id", "guid", "stage", "pipeline_id", "pipeline", "priority", "size_mb", "reserved_mb"),
    *("enters", "synchronises"),
)
"""What is noted of a candidate that waits for room."""


@dataclass(frozen=True)
class Claim:
    """One job that this dispatcher holds."""

    job_id: int
    guid: str
    stage: str
    kind: str
    run: str
    pipeline: str
    parent_guid: str | None
    position: int
    """Its stage's: later stages have higher ones."""
    wave: int
    """How many jobs of its stage share a subflow in Prefect; 0: as many as a burst asks for."""
    returned: bool = False
    """Whether it came back from its site and only its last effects remain."""


async def claim(
    tx: AsyncConnection,
    session_id: UUID,
    dispatcher_id: UUID,
    *,
    limit: int,
    guid: str | None = None,
    builtins: Iterable[str] | None = None,
    without: Iterable[int] = (),
) -> list[Claim]:
    """Take up to `limit` ready jobs of a session, the most urgent and furthest along first.

    `guid` and `builtins` narrow the choice, for a subflow that goes on with its asset's
    next stage of its kind. `without` are jobs to leave: a subflow of an earlier try has yet
    to learn how that ended. A dispatcher whose lease has run out takes nothing.
    """
    if limit < 1 or not await _is_live(tx, dispatcher_id):
        return []
    pipelines = await lock_pipelines(tx, session_id)
    given: dict[str, Any] = {"pipelines": pipelines, "builtins": builtins, "without": without}
    candidates = Candidates(tx, session_id, limit=limit, **given)
    found = await (candidates.due() if guid is None else candidates.of_asset(guid))
    throttled = {each.pipeline_id for each in found if _is_throttled(each)}
    rooms = await rooms_of(tx, throttled, to_count=True) if throttled else {}

    def fits(each: Row[Any]) -> bool:
        return not _is_throttled(each) or rooms[each.pipeline_id].admits(each)

    chosen = list(islice(filter(fits, found), limit))
    if len(chosen) < limit:
        known = {each.id for each in found}
        hidden = [each for each in await candidates.in_flight() if each.id not in known]
        chosen += islice(filter(fits, hidden), limit - len(chosen))
    if not chosen:
        return []
    if unjudged := [each.id for each in chosen if each.unjudged]:
        # An edit of its pipeline that has not come to it yet may let it run no more.
        await wake(tx, await resolve(tx, unjudged))
    moved = await _take(tx, [each.id for each in chosen], dispatcher_id)
    taken = [each for each in chosen if each.id in moved]
    await _admit(tx, [each.guid for each in taken if each.enters])
    return [_claim(each) for each in taken]


def least_needs(candidates: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    """What these candidates need: of each kind that a throttle can hold the one that needs least.

    If it may not start now, none of its kind may, but for one that needs less of one measure and
    more of another. `alike`: how many there are of its kind.
    """
    kinds: dict[tuple[int, bool, bool], list[Row[Any]]] = {}
    for each in candidates:
        kinds.setdefault((each.pipeline_id, each.enters, each.synchronises), []).append(each)
    return [
        {name: getattr(least, name) for name in NEED} | {"alike": len(alike)}
        for alike in kinds.values()
        for least in [min(alike, key=lambda each: each.size_mb + each.reserved_mb)]
    ]


async def with_room(tx: AsyncConnection, needs: Sequence[Mapping[str, Any]]) -> list[bool]:
    """Which of these needs the throttles have room for at this moment, one after the other.

    Each takes as much as all that are `alike` could: what is free is given once.
    """
    throttled = [each["enters"] or each["synchronises"] for each in needs]
    pipelines = {need["pipeline_id"] for need, held in zip(needs, throttled, strict=True) if held}
    rooms = await rooms_of(tx, pipelines) if pipelines else {}
    return [
        not held or _fitting(rooms[need["pipeline_id"]], need) > 0
        for need, held in zip(needs, throttled, strict=True)
    ]


def _is_throttled(candidate: Row[Any]) -> bool:
    """Whether any throttle can hold it."""
    return bool(candidate.enters or candidate.synchronises)


def _fitting(room: Room, need: Mapping[str, Any]) -> int:
    """How many of those that are alike there is room for; they are counted."""
    for n in range(need["alike"]):
        guid = need["guid"] if n == 0 else (need["guid"], n)
        if not room.admits(SimpleNamespace(**{**need, "guid": guid})):
            return n
    return int(need["alike"])


def _claim(row: Any, *, returned: bool = False) -> Claim:
    given = (row.id, row.guid, row.stage, row.kind, row.run, row.pipeline, row.parent_guid)
    return Claim(*given, row.position, row.wave, returned)


async def _is_live(tx: AsyncConnection, dispatcher_id: UUID) -> bool:
    """Whether this dispatcher may still take jobs, held true until the transaction ends.

    A process that stood still may wake up after it was taken over: whoever takes over ends
    its row first, and waits for this lock to do so.
    """
    mine = select(dispatcher.c.id).where(
        dispatcher.c.id == dispatcher_id,
        dispatcher.c.ended_at.is_(None),
        dispatcher.c.alive_until > func.clock_timestamp(),
    )
    found = await tx.execute(mine.with_for_update(read=True, key_share=True))
    return found.first() is not None


async def _take(tx: AsyncConnection, ids: Sequence[int], dispatcher_id: UUID) -> set[int]:
    await lock(tx, ids)
    actor = f"dispatcher:{dispatcher_id}"
    claimed: dict[str, Any] = {"dispatcher_id": dispatcher_id, "redo": False, "attempt_id": None}
    return set(await move_all(tx, ids, State.READY, State.CLAIMED, actor=actor, **claimed))


async def _admit(tx: AsyncConnection, guids: Sequence[str]) -> None:
    entering = any_of(asset.c.guid, guids) & asset.c.admitted_at.is_(None)
    await tx.execute(update(asset).where(entering).values(admitted_at=func.now()))


async def take_returned(
    tx: AsyncConnection, job_ids: Sequence[int], dispatcher_id: UUID
) -> list[int]:
    """Take returned jobs for their last effects by compare-and-set; those taken, whose state
    stays."""
    if not await _is_live(tx, dispatcher_id):
        return []
    await lock(tx, job_ids)
    free = job.c.dispatcher_id.is_(None) | (job.c.dispatcher_id == dispatcher_id)
    mine = update(job).where(any_of(job.c.id, job_ids), job.c.state == State.RETURNED, free)
    taken = await tx.execute(mine.values(dispatcher_id=dispatcher_id).returning(job.c.id))
    return sorted(taken.scalars())


RETURNED = text(f"""
    SELECT j.id, j.asset_guid AS guid, s.key AS stage, s.kind, s.run, p.name AS pipeline,
           a.parent_guid, s.position, s.wave, {AWAITED} AS awaited
    FROM (
        SELECT * FROM track.job r
        WHERE r.session_id = :session AND r.state = 'returned' AND NOT r.held
          AND r.dispatcher_id IS NULL AND r.id <> ALL(CAST(:without AS bigint[]))
        ORDER BY r.updated_at, r.id LIMIT :limit
    ) j
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.pipeline p ON p.id = s.pipeline_id
    ORDER BY j.updated_at, j.id
""")


async def returned(
    tx: AsyncConnection, session_id: UUID, *, limit: int | None = None, without: Iterable[int] = ()
) -> list[Claim]:
    """Jobs of the session that came back with their outputs and that no dispatcher holds.

    Longest back first, at most `limit`; `without` are left out. What still waits for its outputs
    is left aside, once, and read again when they are here.
    """
    most, given = limit, {"session": session_id, "without": list(without)}
    while True:
        found = (await tx.execute(RETURNED, given | {"limit": most})).all()
        aside = await hold_awaited(tx, [each.id for each in found if each.awaited])
        if not aside:
            return [_claim(each, returned=True) for each in found if not each.awaited][:limit]
        most = None if most is None else most * 4
