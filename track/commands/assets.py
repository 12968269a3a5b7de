"""Assets: how they enter the track database, and how a corrected one comes back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import REPEATED, QuarantineEntry, sentence
from track.commands.pipelines import NewJobs, create_jobs
from track.jobs.edges import lock_edges
from track.jobs.locked import locked_jobs
from track.jobs.moves import Guard, move_all
from track.jobs.resolve import downstream, resolve
from track.jobs.verbs import fail_waiting, release_assets
from track.records.search import note_words
from track.records.sessions import of_folder
from track.records.wake import wake
from track.schema.arrays import any_of
from track.schema.history import record, record_all
from track.schema.states import State
from track.schema.tables import asset, job, pipeline


@dataclass(frozen=True)
class NewAsset:
    """One asset as a session's folder, or an emitting stage, shows it. Sizes in MB."""

    guid: str
    pipeline: str
    file_name: str
    batch_name: str = ""
    parent_guid: str | None = None
    subject: str = "unknown"
    ppi: int | None = None
    source_path: str | None = None
    size_mb: int = 1
    reserved_mb: int = 0
    priority: int = 0
    x: int | None = None
    y: int | None = None
    z: int | None = None


@dataclass(frozen=True)
class Registered:
    """What a registration found: new guids, re-opened ones, and those known from elsewhere."""

    new: list[str]
    reopened: list[str]
    known: list[str]


async def register_assets(
    tx: AsyncConnection,
    session_id: UUID,
    assets: Sequence[NewAsset],
    *,
    actor: str,
    again: bool = False,
) -> Registered:
    """Insert assets with a job per stage; again is harmless.

    One that was quarantined is opened again from its corrected files; any other guid
    that is known from another session is left as it is and reported. `again` opens those
    of this very session that have failed jobs and are in no quarantine.

    A statement for each step, however many assets: a folder may hold thousands. Until the
    transaction ends an edit of a pipeline waits, so callers register a page at a time.
    """
    await lock_edges(tx)  # an edit that is under way has stages that could not be seen yet
    await _lock_lattices(tx, assets)
    rows = await _rows(tx, session_id, assets)
    new = sorted((await tx.execute(INSERT, {"rows": list(rows.values())})).scalars())
    inserted = set(new)
    changes = [
        {"session_id": session_id, "asset_guid": each.guid, "new": each.pipeline}
        for each in assets
        if each.guid in inserted
    ]
    await record_all(tx, changes, actor=actor, what="asset.registered")
    others = rows.keys() - set(new)
    reopened, restarted = await _reopen(tx, {g: rows[g] for g in sorted(others)}, actor, again)
    if reopened:  # those that a back-fill has given them meanwhile, too
        await tx.execute(TAKE_ALONG, {"guids": reopened})
    await note_words(tx, new + reopened)
    related = {each.guid for each in assets if each.parent_guid is not None or each.z is not None}
    every = {guid: rows[guid]["pipeline_id"] for guid in new + reopened}
    jobs = await create_jobs(tx, every, opened=set(reopened), related=related)
    # All that is ready at once is of this session and due now: one stands for them.
    await wake(tx, [*jobs.ready[:1], *await _judge(tx, jobs, restarted)])
    return Registered(new, reopened, sorted(others - set(reopened)))


async def _judge(tx: AsyncConnection, jobs: NewJobs, restarted: list[int]) -> list[int]:
    """Judge what their pipelines alone do not say of new jobs; what became ready by it."""
    unjudged = [*restarted, *jobs.unjudged]
    if jobs.concern:
        await tx.execute(RELATIVES, {"jobs": jobs.concern})
        # A newcomer may be the neighbour that others miss.
        unjudged += await downstream(tx, jobs.concern)
    return await resolve(tx, unjudged)


async def guids_in_folder(
    tx: AsyncConnection, session_id: UUID, file_names: Sequence[str]
) -> dict[str, str]:
    """The guids under which files of this session's folder are known, by base name."""
    sessions = [row.id for row in await of_folder(tx, session_id)]
    mine = select(asset.c.file_name, asset.c.guid).where(
        any_of(asset.c.session_id, sessions),
        any_of(asset.c.file_name, file_names),
        asset.c.parent_guid.is_(None),
    )
    return {row.file_name: row.guid for row in await tx.execute(mine)}


async def existing_guids(tx: AsyncConnection, guids: Sequence[str]) -> set[str]:
    """Those of these guids that some asset has."""
    found = await tx.execute(select(asset.c.guid).where(any_of(asset.c.guid, guids)))
    return set(found.scalars())


async def _rows(
    tx: AsyncConnection, session_id: UUID, assets: Sequence[NewAsset]
) -> dict[str, dict[str, Any]]:
    """The assets as rows, by guid."""
    names = await tx.execute(select(pipeline.c.name, pipeline.c.id))
    ids: dict[str, int] = {row.name: row.id for row in names}
    return {
        each.guid: vars(each) | {"session_id": str(session_id), "pipeline_id": ids[each.pipeline]}
        for each in sorted(assets, key=lambda found: found.guid)
    }


_COLUMNS = [
    each.name for each in fields(NewAsset) if each.name not in ("guid", "pipeline", "parent_guid")
] + ["session_id", "pipeline_id"]

_GIVEN = "jsonb_populate_recordset(CAST(NULL AS track.asset), :rows)"

INSERT = text(f"""
    INSERT INTO track.asset (guid, parent_guid, {", ".join(_COLUMNS)})
    SELECT guid, parent_guid, {", ".join(_COLUMNS)} FROM {_GIVEN} ORDER BY guid
    ON CONFLICT DO NOTHING
    RETURNING guid
""").bindparams(bindparam("rows", type_=JSONB))

REOPEN = text(f"""
    UPDATE track.asset a
    SET {", ".join(f"{name} = r.{name}" for name in _COLUMNS)},
        quarantine = NULL, released_at = NULL, admitted_at = NULL
    FROM {_GIVEN} r WHERE a.guid = r.guid
""").bindparams(bindparam("rows", type_=JSONB))
"""Points assets at the files of these rows."""

TAKE_ALONG = text("""
    UPDATE track.job j SET session_id = a.session_id, priority = a.priority
    FROM track.asset a WHERE a.guid = j.asset_guid AND a.guid = ANY(:guids)
""")


RELATIVES = text("""
    SELECT u.id FROM track.job j
    JOIN track.asset a ON a.guid = j.asset_guid
    JOIN track.edge e ON e.stage_id = j.stage_id
    JOIN track.asset n ON e.selector = 'parent' AND n.guid = a.parent_guid
      OR e.selector = 'offset' AND n.pipeline_id = a.pipeline_id
     AND n.z = a.z + e.dz AND n.y = a.y + e.dy AND n.x = a.x + e.dx
    JOIN track.job u ON u.stage_id = e.upstream_id AND u.asset_guid = n.guid
    WHERE j.id = ANY(:jobs)
    ORDER BY u.id
    FOR SHARE OF u
""")
"""Locks the jobs of other assets that new jobs wait for: one that is just finishing cannot see
the newcomer, nor is its end seen here."""


async def _lock_lattices(tx: AsyncConnection, assets: Sequence[NewAsset]) -> None:
    """Let neighbours that arrive at once, in two transactions, see each other."""
    for name in sorted({each.pipeline for each in assets if each.z is not None}):
        key = func.hashtextextended(f"lattice {name}", 0)
        await tx.execute(select(func.pg_advisory_xact_lock(key)))


async def _reopen(
    tx: AsyncConnection, rows: dict[str, dict[str, Any]], actor: str, again: bool
) -> tuple[list[str], list[int]]:
    """Point known assets at their corrected files, or at those that may be read now.

    Those that were opened, and their jobs that are to be judged anew.
    """
    if not rows:
        return [], []
    session_id = next(iter(rows.values()))["session_id"]
    mine = any_of(asset.c.guid, rows)
    if again:
        mine &= (asset.c.session_id == session_id) & asset.c.quarantine.is_(None)
    else:
        mine &= (asset.c.session_id != session_id) & asset.c.quarantine.is_not(None)
    locked = select(asset.c.guid, asset.c.pipeline_id, asset.c.quarantine).where(mine)
    old = {row.guid: row for row in await tx.execute(locked.order_by("guid").with_for_update())}
    is_failed = any_of(job.c.asset_guid, old) & (job.c.state == State.FAILED)
    jobs = select(job.c.id, job.c.asset_guid).where(is_failed).order_by(job.c.id)
    failed: dict[int, str] = {row.id: row.asset_guid for row in await tx.execute(jobs)}
    if again:
        with_failed = set(failed.values())
        old = {guid: row for guid, row in old.items() if guid in with_failed}
    await tx.execute(REOPEN, {"rows": [rows[guid] for guid in old]})
    await tx.execute(TAKE_ALONG, {"guids": list(old)})
    changes = [
        {"session_id": session_id, "asset_guid": guid, "old": sentence(row.quarantine), "new": ""}
        for guid, row in old.items()
    ]
    await record_all(tx, changes, actor=actor, what="asset.reopened")
    why = "its files may be read now" if again else "its corrected files arrived"
    moved = {guid for guid, row in old.items() if row.pipeline_id != rows[guid]["pipeline_id"]}
    return list(old), await _restart_jobs(tx, failed, moved=moved, actor=actor, why=why)


async def _restart_jobs(
    tx: AsyncConnection, failed: dict[int, str], *, moved: set[str], actor: str, why: str
) -> list[int]:
    """Let failed jobs wait again, and exclude those of a pipeline their asset no longer has."""
    gone = [each for each, guid in failed.items() if guid in moved]
    await move_all(tx, gone, State.FAILED, State.EXCLUDED, actor=actor, why=why)
    fresh: dict[str, Any] = {"tries": 0, "effects": {}, "available_at": func.now()}
    left = [each for each, guid in failed.items() if guid not in moved]
    return await move_all(tx, left, State.FAILED, State.WAITING, actor=actor, why=why, **fresh)


async def quarantine_all(
    tx: AsyncConnection,
    entries: Mapping[int, QuarantineEntry],
    *,
    dispatcher_id: UUID,
    actor: str,
) -> list[int]:
    """End the assets of these jobs, whose files cannot be taken in: ingest and all that waits.

    Those of the jobs that this dispatcher still holds.
    """
    guids = {now.id: now.guid for now in await locked_jobs(tx, [*entries])}
    guard = Guard(dispatcher_id=dispatcher_id)
    ended: list[int] = []
    for job_id, guid in guids.items():
        entry, reason = entries[job_id], str(entries[job_id])
        by: dict[str, Any] = {"actor": actor, "why": reason, "guard": guard}
        if not await move_all(tx, [job_id], State.CLAIMED, State.FAILED, **by):
            continue
        await fail_waiting(tx, guid, actor=actor, why=f"{REPEATED}{reason}")
        mine = update(asset).where(asset.c.guid == guid)
        await tx.execute(mine.values(quarantine=asdict(entry)))
        await record(tx, actor=actor, what="asset.quarantined", asset_guid=guid, new=reason)
        ended.append(job_id)
    await release_assets(tx, {guids[job_id] for job_id in ended})
    return ended
