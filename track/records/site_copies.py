"""Copies of assets at a cluster that are due to go: only the site's own driver can reach them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.records.retention import Copy, note_kept

AGAIN_H = 6
"""Hours until what could not go is looked at again."""

Place = tuple[datetime, int]
"""A row's place in the order of what is due: since when, and its id."""

START: Place = (datetime.min.replace(tzinfo=UTC), 0)

DUE = text("""
    SELECT * FROM track.retention
    WHERE kind = 'site' AND location = :site AND done_at IS NULL AND due_at <= now()
      AND (due_at, id) > (CAST(:due_at AS timestamptz), :id)
    ORDER BY due_at, id LIMIT :limit
""")
LATER = text("""
    UPDATE track.retention SET due_at = now() + make_interval(hours => :hours)
    WHERE id = :id AND done_at IS NULL
""")
KNOWN = text("SELECT guid FROM track.asset WHERE guid = ANY(:names)")
DUE_AGAIN = text("""
    INSERT INTO track.retention (kind, asset_guid, location, due_at)
    SELECT 'site', a.guid, :site, now() FROM track.asset a
    WHERE a.guid = ANY(:names) AND a.finalised_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM track.attempt t JOIN track.job j ON j.id = t.job_id
                       WHERE j.asset_guid = a.guid AND t.site = :site AND t.closed_at IS NULL)
    ON CONFLICT (kind, asset_guid, location)
    DO UPDATE SET done_at = NULL, due_at = now() WHERE retention.done_at IS NOT NULL
""")


async def due_at_site(
    tx: AsyncConnection, site: str, after: Place, limit: int
) -> tuple[list[Copy], Place]:
    """The next copies at a site that are due, and the place of the last of them."""
    given = {"site": site, "due_at": after[0], "id": after[1], "limit": limit}
    rows = (await tx.execute(DUE, given)).all()
    page = [
        Copy(row.id, row.kind, row.asset_guid, row.location, tuple(row.requires)) for row in rows
    ]
    return page, (rows[-1].due_at, rows[-1].id) if rows else after


async def keep(tx: AsyncConnection, copy: Copy, why: str) -> None:
    """Leave a copy for now: it is due again later."""
    await note_kept(tx, copy, why)
    await tx.execute(LATER, {"id": copy.id, "hours": AGAIN_H})


async def make_due_again(tx: AsyncConnection, site: str, names: Sequence[str]) -> set[str]:
    """Have those folders removed that came about after their asset was done with; the names
    of all that belong to an asset of ours."""
    given = {"names": list(names), "site": site}
    await tx.execute(DUE_AGAIN, given)
    return set((await tx.execute(KNOWN, given)).scalars())
