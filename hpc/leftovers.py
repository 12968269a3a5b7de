"""Scratch at a cluster: the folders of assets that are done with, by the table of due copies.

Only the site's driver can reach them. One goes when its asset is finalised, nothing of it
is being worked on, and the archive has every file of it and of what was made of it.
"""

from collections.abc import Sequence

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.site_state import SiteState
from schemas.guid import is_path_safe
from track.database import transact
from track.retention import (
    Copy,
    expected_files,
    hold,
    note_kept,
    note_removed,
    relatives,
    why_needed,
)
from track.tables import retention

KNOWN = text("SELECT guid FROM track.asset WHERE guid = ANY(:names)")
SWEEP_AGAIN = text("""
    INSERT INTO track.retention (kind, asset_guid, location, due_at)
    SELECT 'site', a.guid, :site, now() FROM track.asset a
    WHERE a.guid = ANY(:names) AND a.finalised_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM track.attempt t JOIN track.job j ON j.id = t.job_id
                       WHERE j.asset_guid = a.guid AND t.site = :site AND t.closed_at IS NULL)
    ON CONFLICT (kind, asset_guid, location)
    DO UPDATE SET done_at = NULL, due_at = now() WHERE retention.done_at IS NOT NULL
""")
VERIFIABLE = {"erda"}
AT_ONCE = 50


async def sweep(state: SiteState) -> int:
    """Remove what is due at this site; how many assets. Raises WireError, Garbled."""

    async def work(tx: AsyncConnection) -> int:
        removable = [copy for copy in await _due(tx, state.site.name) if await _may_go(tx, copy)]
        if not removable:
            return 0
        gone = set(await state.cluster.remove([copy.guid for copy in removable]))
        for copy in removable:
            if copy.guid in gone:
                await note_removed(tx, copy, f"removed from {state.site.name}")
            else:
                await note_kept(tx, copy, "it could not be removed over there")
        return len(gone)

    return await transact(state.engine, work)


async def find_orphans(state: SiteState, days: int) -> list[str]:
    """Have old folders swept that came about after their asset was done with, as a job that
    everybody had forgotten makes them; the names of those that belong to no asset of ours.

    Raises WireError, Garbled.
    """
    names = await state.cluster.old_scratch(days)

    async def work(tx: AsyncConnection) -> set[str]:
        given = {"names": names, "site": state.site.name}
        await tx.execute(SWEEP_AGAIN, given)
        return set((await tx.execute(KNOWN, given)).scalars())

    known = await transact(state.engine, work) if names else set()
    return sorted(set(names) - known)


async def _due(tx: AsyncConnection, site: str) -> Sequence[Copy]:
    mine = (
        select(retention)
        .where(retention.c.kind == "site", retention.c.location == site)
        .where(retention.c.done_at.is_(None), retention.c.due_at <= func.now())
        .order_by(retention.c.id)
        .limit(AT_ONCE)
    )
    rows = await tx.execute(mine)
    return [
        Copy(row.id, row.kind, row.asset_guid, row.location, tuple(row.requires)) for row in rows
    ]


async def _may_go(tx: AsyncConnection, copy: Copy) -> bool:
    """Whether a copy may go; otherwise why not is noted."""
    if not await hold(tx, copy):
        return False
    why = await why_needed(tx, copy) or await _unproven(tx, copy)
    if why:
        await note_kept(tx, copy, why)
    return why is None


async def _unproven(tx: AsyncConnection, copy: Copy) -> str | None:
    if not is_path_safe(copy.guid):
        return "its name is not that of a folder"
    unknown = set(copy.requires) - VERIFIABLE
    if unknown or not copy.requires:
        return f"nobody can verify the copies it requires: {sorted(unknown) or 'none named'}"
    for guid in await relatives(tx, copy):
        for file in await expected_files(tx, guid):
            if file.synchronised_at is None:
                return f"{file.name} of {guid} is not in the archive yet"
    return None
