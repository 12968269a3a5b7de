"""Scratch at a cluster: the folders of assets that are done with, by the table of due copies.

Only the site's driver can reach them. One goes when its asset is finalised, nothing of it
is being worked on, and the archive has every file of it and of what was made of it.
"""

from datetime import UTC, datetime
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.sites.slurm.state import SiteState
from schemas.guid import is_path_safe
from track.records.retention import (
    Copy,
    expected_files,
    hold,
    note_kept,
    note_removed,
    relatives,
    why_needed,
)
from track.schema.database import transact

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
DUE = text("""
    SELECT * FROM track.retention
    WHERE kind = 'site' AND location = :site AND done_at IS NULL AND due_at <= now()
      AND (due_at, id) > (CAST(:due_at AS timestamptz), :id)
    ORDER BY due_at, id LIMIT :limit
""")
VERIFIABLE = {"erda"}
AT_ONCE = 100
"""Assets removed by one command, whose rows are held meanwhile."""

AGAIN_H = 6
LATER = text("""
    UPDATE track.retention SET due_at = now() + make_interval(hours => :hours)
    WHERE id = :id AND done_at IS NULL
""")


Place = tuple[datetime, int]
"""A row's place in the order of what is due: since when, and its id."""

START: Place = (datetime.min.replace(tzinfo=UTC), 0)


async def sweep(state: SiteState) -> int:
    """Remove all that is due at this site, a page in one command; how many assets.

    What may not go yet is looked at again later, and hides nothing.
    Raises WireError, TruncatedAnswer.
    """
    removed, after = 0, START
    while True:
        gone, last = await transact(state.engine, partial(_sweep_page, state=state, after=after))
        removed += gone
        if last == after:
            return removed
        after = last


async def _sweep_page(tx: AsyncConnection, state: SiteState, after: Place) -> tuple[int, Place]:
    page, last = await _due(tx, state.site.name, after)
    removable = [copy for copy in page if await _may_go(tx, copy)]
    gone = set(await state.cluster.remove([copy.guid for copy in removable])) if removable else ()
    for copy in removable:
        if copy.guid in gone:
            await note_removed(tx, copy, f"removed from {state.site.name}")
        else:
            await _keep(tx, copy, "it could not be removed over there")
    return len(gone), last


async def _keep(tx: AsyncConnection, copy: Copy, why: str) -> None:
    """Leave a copy for now: it is due again later."""
    await note_kept(tx, copy, why)
    await tx.execute(LATER, {"id": copy.id, "hours": AGAIN_H})


async def find_orphans(state: SiteState, days: int) -> list[str]:
    """Have old folders swept that came about after their asset was done with, as a job that
    everybody had forgotten makes them; the names of those that belong to no asset of ours.

    Raises WireError, TruncatedAnswer.
    """
    names = await state.cluster.old_scratch(days)

    async def work(tx: AsyncConnection) -> set[str]:
        given = {"names": names, "site": state.site.name}
        await tx.execute(SWEEP_AGAIN, given)
        return set((await tx.execute(KNOWN, given)).scalars())

    known = await transact(state.engine, work) if names else set()
    return sorted(set(names) - known)


async def _due(tx: AsyncConnection, site: str, after: Place) -> tuple[list[Copy], Place]:
    """The next page of what is due, and the place of its last row."""
    given = {"site": site, "due_at": after[0], "id": after[1], "limit": AT_ONCE}
    rows = (await tx.execute(DUE, given)).all()
    page = [
        Copy(row.id, row.kind, row.asset_guid, row.location, tuple(row.requires)) for row in rows
    ]
    return page, (rows[-1].due_at, rows[-1].id) if rows else after


async def _may_go(tx: AsyncConnection, copy: Copy) -> bool:
    """Whether a copy may go; otherwise why not is noted."""
    if not await hold(tx, copy):
        return False
    why = await why_needed(tx, copy) or await _unproven(tx, copy)
    if why:
        await _keep(tx, copy, why)
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
