"""Removes the folders of assets at a cluster that are due by the table of copies.

Only the site's driver can reach them. One goes when its asset is finalised, nothing of it
is being worked on, and the archive has every file of it and of what was made of it.
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from hpc.sites.slurm.state import SiteState
from schemas.guid import is_path_safe
from track.records.files import expected_files
from track.records.retention import (
    START,
    Copy,
    Place,
    due_at_site,
    hold,
    keep,
    make_due_again,
    note_removed,
    relatives,
    why_needed,
)
from track.schema.database import transact

VERIFIABLE = {"erda"}
AT_ONCE = 100
"""Assets removed by one command, whose rows are held meanwhile."""


async def sweep(state: SiteState) -> int:
    """Remove all that is due at this site, a page in one command; how many assets.

    What may not go yet is due again later, and keeps nothing behind it from going.
    Raises WireError, TruncatedAnswer.
    """
    removed, after = 0, START
    while True:
        gone, last = await transact(state.engine, _sweep_page, state, after)
        removed += gone
        if last == after:
            return removed
        after = last


async def _sweep_page(tx: AsyncConnection, state: SiteState, after: Place) -> tuple[int, Place]:
    page, last = await due_at_site(tx, state.site.name, after, AT_ONCE)
    removable = [copy for copy in page if await _may_go(tx, copy)]
    gone = set(await state.cluster.remove([copy.guid for copy in removable])) if removable else ()
    for copy in removable:
        if copy.guid in gone:
            await note_removed(tx, copy, f"removed from {state.site.name}")
        else:
            await keep(tx, copy, "it could not be removed over there")
    return len(gone), last


async def find_orphans(state: SiteState, days: int) -> list[str]:
    """Make old folders due again that appeared after their asset's were removed, as a job declared
    lost may make them; the names of those that belong to no asset of ours.

    Raises WireError, TruncatedAnswer.
    """
    names = await state.cluster.old_scratch(days)
    if not names:
        return []
    known = await transact(state.engine, make_due_again, state.site.name, names)
    return sorted(set(names) - known)


async def _may_go(tx: AsyncConnection, copy: Copy) -> bool:
    """Whether a copy may go; otherwise why not is noted."""
    if not await hold(tx, copy):
        return False
    why = await why_needed(tx, copy) or await _unproven(tx, copy)
    if why:
        await keep(tx, copy, why)
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
