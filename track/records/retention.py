"""The due table: temporary copies that have had their time, and what became of each.

A row says which copy, and which others must exist before it goes. Rows are entered in the
transaction that ends an asset; prune reads them here and notes the end of each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Row, func, literal, or_, select, text, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.sites import KINDS_HERE
from track.records.files import expected_files
from track.schema.arrays import any_of
from track.schema.history import record
from track.schema.states import IN_HAND, State
from track.schema.tables import asset, document, job, retention, site

HERE = or_(
    retention.c.kind != "site",
    retention.c.location.in_(select(site.c.name).where(any_of(site.c.kind, KINDS_HERE))),
)
"""Whether a copy is where this machine can remove it."""

IS_DUE = retention.c.done_at.is_(None) & (retention.c.due_at <= func.now())
OTHERS_DRIVER = "left to the site's driver, which alone can reach it"


RETRY_H = 6
"""Hours until a copy at a cluster that could not be removed is due again."""

Place = tuple[datetime, int]
"""A row's place in the order of what is due: since when, and its id."""

START: Place = (datetime.min.replace(tzinfo=UTC), 0)

DUE_AT_SITE = text("""
    SELECT * FROM track.retention
    WHERE kind = 'site' AND location = :site AND done_at IS NULL AND due_at <= now()
      AND (due_at, id) > (CAST(:due_at AS timestamptz), :id)
    ORDER BY due_at, id LIMIT :limit
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


@dataclass(frozen=True)
class Copy:
    """One copy whose time is up. `location` is a folder, or the name of a site."""

    id: int
    kind: str
    guid: str
    location: str
    requires: tuple[str, ...]
    place: Place

    @property
    def open_row(self) -> ColumnElement[bool]:
        """Its row of the table, while nobody has noted its end."""
        return (retention.c.id == self.id) & retention.c.done_at.is_(None)


@dataclass(frozen=True)
class Original:
    """What was taken in of an asset: its base name, files by name, and document as it came."""

    file_name: str
    folder: Path | None
    crc32: dict[str, int]
    size_bytes: dict[str, int]
    arrived: dict[str, Any] | None


async def due(tx: AsyncConnection, *, after: Place = START, limit: int = 100) -> list[Copy]:
    """Copies that are due and that we can reach, longest due first; go on `after` the last one.

    In the order of their index: in that of their ids all that are long gone would be read.
    """
    place = tuple_(retention.c.due_at, retention.c.id)
    mine = select(retention).where(IS_DUE, HERE, place > tuple_(*map(literal, after)))
    rows = await tx.execute(mine.order_by(retention.c.due_at, retention.c.id).limit(limit))
    return [_copy(row) for row in rows]


async def due_at_site(
    tx: AsyncConnection, site: str, after: Place, limit: int
) -> tuple[list[Copy], Place]:
    """The next copies at a site that are due, and the place of the last of them."""
    given = {"site": site, "due_at": after[0], "id": after[1], "limit": limit}
    rows = (await tx.execute(DUE_AT_SITE, given)).all()
    found = [_copy(row) for row in rows]
    return found, found[-1].place if found else after


def _copy(row: Row[Any]) -> Copy:
    place = (row.due_at, row.id)
    return Copy(row.id, row.kind, row.asset_guid, row.location, tuple(row.requires), place)


async def leave_to_drivers(tx: AsyncConnection, *, dry_run: bool = False) -> int:
    """Say of due copies at other sites that their drivers remove them; how many there are."""
    others = IS_DUE & ~HERE
    if not dry_run:
        new = retention.c.outcome.is_distinct_from(OTHERS_DRIVER)
        await tx.execute(update(retention).where(others, new).values(outcome=OTHERS_DRIVER))
    count = select(func.count()).select_from(retention).where(others)
    return int((await tx.execute(count)).scalar_one())


async def hold(tx: AsyncConnection, copy: Copy) -> bool:
    """Lock the row and its asset for a removal; False when another prune was faster.

    Until the transaction ends, no operator can have the asset done again.
    """
    mine = select(retention.c.id).where(copy.open_row)
    if (await tx.execute(mine.with_for_update(skip_locked=True))).first() is None:
        return False
    its_asset = select(asset.c.guid).where(asset.c.guid == copy.guid)
    await tx.execute(its_asset.with_for_update(key_share=True))
    return True


async def why_needed(tx: AsyncConnection, copy: Copy) -> str | None:
    """Why the copy cannot go yet: its asset, or a derivative of it, is being worked on."""
    statement = select(asset.c.guid, asset.c.finalised_at, asset.c.quarantine)
    row = (await tx.execute(statement.where(asset.c.guid == copy.guid))).one()
    if row.quarantine is not None:
        return "the asset is in quarantine"
    if row.finalised_at is None:
        return "the asset is not finalised, or is being done again"
    moving = (
        select(job.c.asset_guid)
        .join(asset, asset.c.guid == job.c.asset_guid)
        .where((asset.c.guid == copy.guid) | (asset.c.parent_guid == copy.guid))
        .where(job.c.state.in_(sorted(IN_HAND | {State.READY})))
    )
    found = (await tx.execute(moving.limit(1))).scalar_one_or_none()
    return None if found is None else f"{found} is being worked on"


async def relatives(tx: AsyncConnection, copy: Copy) -> list[str]:
    """The assets whose files lie in the copy: at a site, those made of the asset as well."""
    if copy.kind != "site":
        return [copy.guid]
    children = select(asset.c.guid).where(asset.c.parent_guid == copy.guid)
    return [copy.guid, *(await tx.execute(children.order_by(asset.c.guid))).scalars()]


async def original(tx: AsyncConnection, guid: str) -> Original:
    """What was taken in of an asset, and the folder it came from as it is called now."""
    statement = (
        select(asset.c.file_name, asset.c.source_path, document.c.arrived)
        .outerjoin(document, document.c.asset_guid == asset.c.guid)
        .where(asset.c.guid == guid)
    )
    row = (await tx.execute(statement)).one()
    files = await expected_files(tx, guid)
    return Original(
        file_name=row.file_name,
        folder=Path(row.source_path) if row.source_path else None,
        crc32={each.name: each.crc32 for each in files},
        size_bytes={each.name: each.size_bytes for each in files},
        arrived=row.arrived,
    )


async def site_root(tx: AsyncConnection, name: str) -> str:
    """The folder a local site works in."""
    root = select(site.c.definition["root"].astext).where(site.c.name == name)
    return str((await tx.execute(root)).scalar_one())


async def note_removed(tx: AsyncConnection, copy: Copy, outcome: str) -> None:
    """Note that the copy is gone."""
    mine = update(retention).where(copy.open_row)
    await tx.execute(mine.values(done_at=func.now(), outcome=outcome))
    await record(
        tx, actor="prune", what="copy.removed", asset_guid=copy.guid, old=copy.location,
        new=copy.kind, why=outcome,
    )  # fmt: skip


async def note_kept(tx: AsyncConnection, copy: Copy, outcome: str) -> None:
    """Note why the copy stays for now; the next sweep looks again."""
    await tx.execute(update(retention).where(copy.open_row).values(outcome=outcome))


async def keep(tx: AsyncConnection, copy: Copy, why: str) -> None:
    """Leave a copy at a cluster for now: it is due again later."""
    later = func.now() + func.make_interval(0, 0, 0, 0, RETRY_H)
    await tx.execute(update(retention).where(copy.open_row).values(outcome=why, due_at=later))


async def make_due_again(tx: AsyncConnection, site: str, names: Sequence[str]) -> set[str]:
    """Have those folders removed that came about after their asset was done with; the names
    of all that belong to an asset of ours."""
    given = {"names": list(names), "site": site}
    await tx.execute(DUE_AGAIN, given)
    return set((await tx.execute(KNOWN, given)).scalars())
