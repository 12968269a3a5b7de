"""Assets: how they enter the track database, and how a corrected one comes back."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from track.history import record
from track.jobs import fail_waiting, release_asset
from track.moves import Guard, move, move_all
from track.pipelines import create_jobs
from track.resolve import downstream, hold_edges, resolve
from track.states import State
from track.tables import asset, job, pipeline, stage
from track.wake import wake


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
    """
    await hold_edges(tx)  # an edit that is under way has stages that could not be seen yet
    await _lock_lattices(tx, assets)
    rows = await tx.execute(select(pipeline.c.name, pipeline.c.id))
    ids: dict[str, int] = {row.name: row.id for row in rows}
    new, reopened, known = [], [], []
    for each in sorted(assets, key=lambda found: found.guid):
        row = asdict(each) | {"session_id": session_id, "pipeline_id": ids[each.pipeline]}
        del row["pipeline"]
        insertion = insert(asset).values(row).on_conflict_do_nothing()
        if (await tx.execute(insertion.returning(asset.c.guid))).first() is not None:
            new.append(each.guid)
            await record(
                tx, actor=actor, what="asset.registered", session_id=session_id,
                asset_guid=each.guid, new=each.pipeline,
            )  # fmt: skip
        elif await _reopen(tx, row, actor, again):
            reopened.append(each.guid)
        else:
            known.append(each.guid)
    jobs = await create_jobs(tx, new + reopened)
    if any(each.parent_guid is not None or each.z is not None for each in assets):
        await tx.execute(RELATIVES, {"jobs": jobs})
    # A newcomer may be the neighbour that others miss.
    await wake(tx, await resolve(tx, [*jobs, *await downstream(tx, jobs)]))
    return Registered(new, reopened, known)


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


async def _reopen(tx: AsyncConnection, row: dict[str, object], actor: str, again: bool) -> bool:
    """Point an asset at its corrected files, or at those that may be read now; start it over."""
    guid, session_id = str(row["guid"]), row["session_id"]
    mine = asset.c.guid == guid
    old = (await tx.execute(select(asset).where(mine).with_for_update())).one()
    here, quarantined = old.session_id == session_id, old.quarantine is not None
    failed = await _failed_jobs(tx, guid)
    if (here, quarantined) != (again, not again) or (again and not failed):
        return False
    fields = {name: value for name, value in row.items() if name not in ("guid", "parent_guid")}
    fresh = {"quarantine": None, "released_at": None, "admitted_at": None}
    await tx.execute(update(asset).where(mine).values(fields | fresh))
    await record(
        tx, actor=actor, what="asset.reopened", session_id=session_id,
        asset_guid=guid, old=old.quarantine, new="",
    )  # fmt: skip
    why = "its files may be read now" if again else "its corrected files arrived"
    moved = old.pipeline_id != row["pipeline_id"]
    await _restart_jobs(tx, failed, moved=moved, actor=actor, why=why)
    return True


async def _failed_jobs(tx: AsyncConnection, guid: str) -> list[int]:
    mine = select(job.c.id).where(job.c.asset_guid == guid, job.c.state == State.FAILED)
    return list((await tx.execute(mine.order_by(job.c.id))).scalars())


async def _restart_jobs(
    tx: AsyncConnection, ids: list[int], *, moved: bool, actor: str, why: str
) -> None:
    if moved:  # jobs of the pipeline it no longer has
        await move_all(tx, ids, State.FAILED, State.EXCLUDED, actor=actor, why=why)
        return
    fresh: dict[str, Any] = {"tries": 0, "effects": {}, "available_at": func.now()}
    await move_all(tx, ids, State.FAILED, State.WAITING, actor=actor, why=why, **fresh)
    await wake(tx, await resolve(tx, ids))


async def quarantine(
    tx: AsyncConnection, guid: str, job_id: int, *, dispatcher_id: UUID, reason: str, actor: str
) -> None:
    """End an asset whose files cannot be taken in: its ingest and all that waits has failed."""
    guard = Guard(dispatcher_id=dispatcher_id)
    await move(tx, job_id, State.CLAIMED, State.FAILED, actor=actor, why=reason, guard=guard)
    await fail_waiting(tx, guid, actor=actor, why=f"quarantined: {reason}")
    await tx.execute(update(asset).where(asset.c.guid == guid).values(quarantine=reason))
    await release_asset(tx, guid)
    await record(tx, actor=actor, what="asset.quarantined", asset_guid=guid, new=reason)


async def job_of(tx: AsyncConnection, guid: str, stage_key: str) -> int | None:
    """The id of an asset's job at a stage."""
    statement = (
        select(job.c.id)
        .join(stage, stage.c.id == job.c.stage_id)
        .join(
            asset, (asset.c.guid == job.c.asset_guid) & (asset.c.pipeline_id == stage.c.pipeline_id)
        )
        .where(asset.c.guid == guid, stage.c.key == stage_key, stage.c.archived_at.is_(None))
    )
    found: int | None = (await tx.execute(statement)).scalar_one_or_none()
    return found
