"""What an agent takes of its site's queue: as much as its free units hold, and nothing twice.

A claim holds its agent's row: it checks the order it has, and counts what it has taken already.
The queue's order is kept: where the most urgent job has no room, nothing lighter passes it,
so that a heavy one gets its room in the end.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ARRAY, BigInteger, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.events import JOB_STARTED, job_event
from schemas.launchers import LAUNCHERS, Launcher, UnitCost, Units
from schemas.sites import kinds_that
from track.jobs.agent_uploads import UPLOADS
from track.jobs.agents import Agent, capacity_of_site
from track.jobs.batching import QUEUED, Queued, Shape, insert_batch, shapes
from track.jobs.moves import move_all
from track.jobs.sites import USES_ARCHIVE
from track.records.outbox import put_all
from track.schema.arrays import array_of
from track.schema.states import State
from track.schema.tables import batch

LAUNCHER, UNITS = "launcher", "units"
"""The keys among a batch's resources that say how it is started, and what it takes for that."""

MEMBERS_AT_ONCE = 8
"""Assets that one runner takes one after another, so that libraries load once."""

MAX_MEMBERS = 200
"""Attempts of one claim: each may bring a grant along, and the answer has to arrive."""

USED = text("""
    SELECT b.resources ->> 'launcher' AS launcher,
           CAST(sum(CAST(b.resources ->> 'units' AS bigint)
                    * CASE WHEN b.resources ->> 'launcher' = 'process' THEN 1 ELSE o.n END)
                AS bigint) AS units
    FROM (SELECT batch_id, count(*) AS n FROM track.attempt
           WHERE agent_id = :agent AND closed_at IS NULL GROUP BY batch_id) o
    JOIN track.batch b ON b.id = o.batch_id
    GROUP BY 1
""")

WAITING = text("""
    SELECT count(*) FROM (
        SELECT 1 FROM track.attempt
        WHERE site = :site AND closed_at IS NULL AND batch_id IS NULL LIMIT :most) w
""")

WORK_WAITS = text(f"""
    SELECT EXISTS (
        SELECT 1 FROM track.site s
        WHERE s.kind <> ALL({array_of(kinds_that(lambda kind: kind.driven))}) AND EXISTS (
            SELECT 1 FROM track.attempt t
            WHERE t.site = s.name AND t.closed_at IS NULL AND t.batch_id IS NULL
              AND t.cancel_requested_at IS NULL))
""")

STAGES = text(f"""
    SELECT s.id, s.kind, s.resources, {USES_ARCHIVE} AS uses_archive,
           {UPLOADS} AS uploads
    FROM track.stage s WHERE s.archived_at IS NULL AND s.kind <> 'builtin'
""")

# Everybody else locks a job before its attempt: one that somebody is at is left to them.
HOLD_JOBS = text("""
    SELECT id FROM track.job WHERE id = ANY(:jobs) AND state = 'queued'
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
""").bindparams(bindparam("jobs", type_=ARRAY(BigInteger)))

TAKE = text("""
    UPDATE track.attempt t
    SET agent_id = :agent, lease_until = now() + make_interval(secs => :lease),
        submitted_at = CASE WHEN :started THEN now() END,
        started_at = CASE WHEN :started THEN now() END,
        started_by = CASE WHEN :started THEN CAST(:key AS text) END
    WHERE t.batch_id = :batch
""")

STARTED = text("""
    SELECT t.id AS attempt, t.n, t.site, j.id AS job, j.session_id AS session,
           j.asset_guid AS guid, s.key AS stage, p.name AS pipeline
    FROM track.attempt t
    JOIN track.job j ON j.id = t.job_id
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.pipeline p ON p.id = a.pipeline_id
    WHERE t.id = ANY(:attempts)
    ORDER BY t.id
""").bindparams(bindparam("attempts", type_=ARRAY(BigInteger)))


@dataclass(frozen=True)
class QueuedAttempt:
    """An attempt in the queue: what it may share a batch with, and what it costs."""

    row: Any
    like: tuple[int, str]
    cost: UnitCost


@dataclass
class Share:
    """What goes together: one runner's members, or the tasks of one array."""

    launcher: Launcher
    like: tuple[int, str]
    units: int
    rows: list[Any] = field(default_factory=list)


async def claimed_before(tx: AsyncConnection, agent_id: int, request_id: str) -> list[int]:
    """The batches that an agent was given for this request, as far as something of them is open."""
    mine = select(batch.c.id).where(
        batch.c.agent_id == agent_id, batch.c.request_id == request_id, batch.c.ended_at.is_(None)
    )
    return list((await tx.execute(mine.order_by(batch.c.id))).scalars())


async def work_waits(tx: AsyncConnection) -> bool:
    """Whether anything waits to be taken by an agent."""
    return bool((await tx.execute(WORK_WAITS)).scalar_one())


async def used_units(tx: AsyncConnection, agent_id: int) -> Units:
    """What an agent has taken of its capacity, as the server sees it."""
    rows = await tx.execute(USED, {"agent": agent_id})
    return Units(**{row.launcher: row.units for row in rows})


async def take(
    tx: AsyncConnection,
    by: Agent,
    request_id: str,
    free: Units,
    *,
    lease_s: float,
    max_array: int,
    shape: Shape,
    archive: bool = True,
) -> list[int]:
    """Give an agent whose row is locked as much as fits; the new batches, most urgent first.

    `free` is what it says it has room for; what it was given counts here as well. `archive`:
    whether what needs the archive can begin. One that is to go gets uploads alone.
    """
    room = by.capacity.less(await used_units(tx, by.id)).least(free)
    if not any(room.of(each) for each in LAUNCHERS):
        return []
    each = await _members_of_a_runner(tx, by.site)
    limit = min(MAX_MEMBERS, room.process * each + room.scheduler)
    unable = await _stages_beyond(tx, by, archive)
    given = {"site": by.site, "limit": limit, "paused": unable, "agent": by.id}
    rows = (await tx.execute(QUEUED, given)).all()
    held = {"jobs": [row.job for row in rows]}
    mine = set((await tx.execute(HOLD_JOBS, held)).scalars())
    rows = [row for row in rows if row.job in mine]
    taken = []
    for share in shares(await _waiting(tx, rows, shape), room, each, max_array):
        taken.append(await _give(tx, by, request_id, share, lease_s))
    return taken


def shares(waiting: Sequence[QueuedAttempt], room: Units, each: int, max_array: int) -> list[Share]:
    """How the front of a queue is shared out over the room there is, in the queue's order.

    Each job gets a runner of its own while units are free, else a place in an array, else one of
    `each` places in a runner of its kind; the first that gets none of these ends it.
    """
    left = {name: room.of(name) for name in LAUNCHERS}
    made: list[Share] = []
    for one in waiting:
        launcher = next((name for name in LAUNCHERS if one.cost.of(name) <= left[name]), None)
        like = [share for share in made if share.like == one.like]
        if launcher is None:
            places = [s for s in like if s.launcher == "process" and len(s.rows) < each]
            if not places:
                break
            min(places, key=lambda share: len(share.rows)).rows.append(one.row)
            continue
        left[launcher] -= one.cost.of(launcher)
        arrays = [s for s in like if s.launcher == "scheduler" and len(s.rows) < max_array]
        if launcher == "process" or not arrays:
            made.append(Share(launcher, one.like, one.cost.of(launcher)))
            arrays = made[-1:]
        arrays[-1].rows.append(one.row)
    return made


async def _members_of_a_runner(tx: AsyncConnection, site: str) -> int:
    """How many a runner takes: more than one only when every unit of the site's agents has one."""
    units = max(1, (await capacity_of_site(tx, site)).process)
    most = MEMBERS_AT_ONCE * units
    found = int((await tx.execute(WAITING, {"site": site, "most": most})).scalar_one())
    return max(1, math.ceil(found / units))


async def _stages_beyond(tx: AsyncConnection, by: Agent, archive: bool) -> list[int]:
    """The stages whose jobs an agent cannot take, for want of a label, of capacity, or of the
    archive; of one that is to go all but uploads."""
    return [
        row.id
        for row in await tx.execute(STAGES)
        if not _may_take(by, row.kind, row.resources)
        or (row.uses_archive and not archive)
        or (by.order != "run" and not row.uploads)
    ]


def _may_take(by: Agent, kind: str, resources: Mapping[str, Any]) -> bool:
    cost = UnitCost.asked(resources)
    fits = any(0 < cost.of(name) <= by.capacity.of(name) for name in LAUNCHERS)
    return kind != "script" and fits and by.labels >= set(resources.get("labels", ()))


async def _waiting(tx: AsyncConnection, rows: Queued, shape: Shape) -> list[QueuedAttempt]:
    costs: dict[str, UnitCost] = {}
    found = []
    for row, asked in zip(rows, await shapes(tx, rows, shape), strict=True):
        if asked not in costs:
            costs[asked] = UnitCost.asked(json.loads(asked))
        found.append(QueuedAttempt(row, (row.stage_id, asked), costs[asked]))
    return found


async def _give(
    tx: AsyncConnection, by: Agent, request_id: str, share: Share, lease_s: float
) -> int:
    """Make a batch of a share; what the agent itself starts counts as started."""
    asked = json.loads(share.like[1]) | {LAUNCHER: share.launcher, UNITS: share.units}
    started = share.launcher == "process"
    taken_by = {"agent_id": by.id, "request_id": request_id}
    batch_id = await insert_batch(tx, by.site, share.rows, asked, **taken_by)
    key = str((await tx.execute(select(batch.c.key).where(batch.c.id == batch_id))).scalar_one())
    given = {"agent": by.id, "lease": lease_s, "batch": batch_id, "key": key, "started": started}
    await tx.execute(TAKE, given)
    if started:
        why = f"agent {by.name} starts it with {key}"
        jobs = sorted(row.job for row in share.rows)
        moved = await move_all(tx, jobs, State.QUEUED, State.RUNNING, actor=by.actor, why=why)
        assert moved == jobs  # they are locked
        await put_all(tx, await _started_events(tx, [row.attempt for row in share.rows]))
    return batch_id


async def _started_events(tx: AsyncConnection, attempts: Sequence[int]) -> list[dict[str, Any]]:
    rows = await tx.execute(STARTED, {"attempts": list(attempts)})
    return [
        job_event(
            JOB_STARTED,
            row.guid,
            attempt=row.attempt,
            n=row.n,
            stage=row.stage,
            session=row.session,
            pipeline=row.pipeline,
            site=row.site,
            payload={"job": row.job, "n": row.n},
        )
        for row in rows
    ]
