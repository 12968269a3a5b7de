"""The due table: temporary copies that have had their time, and what became of each.

A row says which copy, and which others must exist before it goes. Rows are entered in the
transaction that ends an asset; prune reads them here and notes the end of each.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.sites import KINDS_HERE
from track.records.files import expected_files
from track.schema.arrays import any_of
from track.schema.history import record
from track.schema.states import IN_HAND, State
from track.schema.tables import asset, document, job, retention, site

SITES_HERE = select(site.c.name).where(any_of(site.c.kind, KINDS_HERE))
OTHERS_DRIVER = "left to the site's driver, which alone can reach it"


@dataclass(frozen=True)
class Copy:
    """One copy whose time is up. `location` is a folder, or the name of a site."""

    id: int
    kind: str
    guid: str
    location: str
    requires: tuple[str, ...]


@dataclass(frozen=True)
class Original:
    """What was taken in of an asset: its base name, files by name, and document as it came."""

    file_name: str
    folder: Path | None
    crc32: dict[str, int]
    size_bytes: dict[str, int]
    arrived: dict[str, Any] | None


async def due(tx: AsyncConnection, *, after: int = 0, limit: int = 100) -> list[Copy]:
    """Copies that are due and that we can reach, by id; go on `after` the last one's."""
    reachable = or_(
        retention.c.kind != "site",
        retention.c.location.in_(SITES_HERE),
    )
    mine = select(retention).where(_is_due(), reachable, retention.c.id > after)
    rows = await tx.execute(mine.order_by(retention.c.id).limit(limit))
    return [
        Copy(row.id, row.kind, row.asset_guid, row.location, tuple(row.requires)) for row in rows
    ]


def _is_due() -> Any:
    return retention.c.done_at.is_(None) & (retention.c.due_at <= func.now())


async def leave_to_drivers(tx: AsyncConnection, *, dry_run: bool = False) -> int:
    """Say of due copies at other sites that their drivers remove them; how many there are."""
    others = _is_due() & (retention.c.kind == "site") & retention.c.location.not_in(SITES_HERE)
    if not dry_run:
        said = retention.c.outcome.is_distinct_from(OTHERS_DRIVER)
        await tx.execute(update(retention).where(others, said).values(outcome=OTHERS_DRIVER))
    count = select(func.count()).select_from(retention).where(others)
    return int((await tx.execute(count)).scalar_one())


async def hold(tx: AsyncConnection, copy: Copy) -> bool:
    """Hold the row and its asset for a removal; False when another prune was faster.

    While it is held, no operator can have the asset done again.
    """
    mine = select(retention.c.id).where(retention.c.id == copy.id, retention.c.done_at.is_(None))
    if (await tx.execute(mine.with_for_update(skip_locked=True))).first() is None:
        return False
    held = select(asset.c.guid).where(asset.c.guid == copy.guid)
    await tx.execute(held.with_for_update(key_share=True))
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
    found: str = (
        await tx.execute(select(site.c.definition["root"].astext).where(site.c.name == name))
    ).scalar_one()
    return found


async def note_removed(tx: AsyncConnection, copy: Copy, outcome: str) -> None:
    """The copy is gone."""
    mine = update(retention).where(retention.c.id == copy.id, retention.c.done_at.is_(None))
    await tx.execute(mine.values(done_at=func.now(), outcome=outcome))
    await record(
        tx, actor="prune", what="copy.removed", asset_guid=copy.guid, old=copy.location,
        new=copy.kind, why=outcome,
    )  # fmt: skip


async def note_kept(tx: AsyncConnection, copy: Copy, outcome: str) -> None:
    """The copy stays for now, and why; the next sweep looks again."""
    mine = update(retention).where(retention.c.id == copy.id, retention.c.done_at.is_(None))
    await tx.execute(mine.values(outcome=outcome))
