"""What is known of the assets' shares in the archive, so that they are counted as they are.

`share_mb` is set before a share is opened and goes once it is seen to be closed;
`share_opened_at` is set while it is certain to be open. Whoever dies in between leaves a
share that may be open: it is counted, and whoever needs it looks before using it.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.jobs.sites import USES_ARCHIVE
from track.jobs.verbs import resubmit
from track.schema.tables import asset, file

MAX_LEFTOVERS = 200
"""Leftover shares that one look names."""

AT_HAND = text(f"""
    SELECT j.id, a.guid, a.size_mb + coalesce(p.size_mb, 0) AS mb
    FROM track.job j
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.asset a ON a.guid = j.asset_guid
    LEFT JOIN track.asset p ON p.guid = a.parent_guid
    WHERE j.id = ANY(:jobs) AND j.state = 'claimed' AND {USES_ARCHIVE}
      -- What has been at a site before may have failed since the share was gone all the same.
      AND (a.share_opened_at IS NULL
           OR EXISTS (SELECT 1 FROM track.attempt t WHERE t.job_id = j.id))
      AND EXISTS (SELECT 1 FROM track.job c JOIN track.stage cs ON cs.id = c.stage_id
                   WHERE c.asset_guid = a.guid AND c.state = 'done'
                     AND cs.kind = 'builtin' AND cs.run = 'create')
    ORDER BY j.id
    FOR NO KEY UPDATE OF j
""")

LEFTOVER = """
    SELECT a.guid, a.local_path IS NOT NULL OR a.parent_guid IS NOT NULL AS may_discard
    FROM track.asset a
    CROSS JOIN LATERAL (
        SELECT bool_or(j.state IN ('ready', 'claimed', 'queued', 'running', 'returned')) AS moving,
               bool_or(j.state IN ('failed', 'cancelled')) AS gave_up,
               bool_or(j.state = 'waiting') AS waiting,
               max(j.updated_at) AS last
        FROM track.asset kin JOIN track.job j ON j.asset_guid = kin.guid
        WHERE kin.guid IN (a.guid, a.parent_guid) OR kin.parent_guid = a.guid
    ) family
    WHERE a.share_mb IS NOT NULL AND NOT family.moving
      AND (family.gave_up OR NOT family.waiting)
      AND family.last < now() - CAST(:patience AS interval)
"""

UPLOADS = text("""
    SELECT j.id FROM track.job j
    JOIN track.stage s ON s.id = j.stage_id
    JOIN track.edge e ON e.upstream_id = s.id AND e.selector = 'self'
    JOIN track.job sync ON sync.stage_id = e.stage_id AND sync.asset_guid = j.asset_guid
    JOIN track.stage ss ON ss.id = sync.stage_id
    WHERE j.asset_guid = :guid AND j.state = 'done'
      AND (s.kind = 'script' OR s.kind IN ('builtin', 'module') AND s.run = 'upload')
      AND ss.kind = 'builtin' AND ss.run = 'synchronise' AND sync.state = 'claimed'
    ORDER BY j.id
""")


@dataclass(frozen=True)
class Leftover:
    """A share that nobody uses. `may_discard`: what only it holds can be brought again."""

    guid: str
    may_discard: bool


async def opening(tx: AsyncConnection, guid: str, mb: int) -> bool:
    """Note, before it happens, that a share of so many MB is opened; whether none was known."""
    known = select(asset.c.share_mb).where(asset.c.guid == guid).with_for_update(key_share=True)
    before = (await tx.execute(known)).scalar_one()
    await _note(tx, guid, share_mb=mb, share_opened_at=None)
    return before is None


async def opened(tx: AsyncConnection, guid: str) -> None:
    """Note that the share is open."""
    await _note(tx, guid, share_opened_at=func.now())


async def closing(tx: AsyncConnection, guid: str) -> None:
    """Note, before it happens, that the share is closed: it is counted until that is seen."""
    await _note(tx, guid, share_opened_at=None)


async def closed(tx: AsyncConnection, guid: str) -> None:
    """Note that no share is open; what it held has room again."""
    await _note(tx, guid, share_mb=None, share_opened_at=None)


async def _note(tx: AsyncConnection, guid: str, **values: object) -> None:
    await tx.execute(update(asset).where(asset.c.guid == guid).values(**values))


async def opening_for(tx: AsyncConnection, job_ids: Collection[int]) -> list[int]:
    """Note of stages about to start at sites that their assets' shares are opened; those of which
    they are to be.

    Only an asset that the archive knows has one, and some stages need none.
    """
    rows = (await tx.execute(AT_HAND, {"jobs": sorted(job_ids)})).all()
    for row in rows:
        await opening(tx, row.guid, row.mb)
    return [row.id for row in rows]


async def leftovers(tx: AsyncConnection, patience: timedelta) -> Sequence[Leftover]:
    """Open shares of assets with which nothing is in hand, since `patience` or longer."""
    some = text(f"{LEFTOVER} ORDER BY a.guid LIMIT {MAX_LEFTOVERS}")
    rows = await tx.execute(some, {"patience": patience})
    return [Leftover(row.guid, row.may_discard) for row in rows]


async def hold_leftover(tx: AsyncConnection, guid: str, patience: timedelta) -> bool:
    """Lock an asset while its share is closed; False when it is used again, or locked already.

    Until the transaction ends nobody can have the asset done again.
    """
    mine = select(asset.c.guid).where(asset.c.guid == guid)
    locked = await tx.execute(mine.with_for_update(key_share=True, skip_locked=True))
    if locked.first() is None:
        return False
    still = text(f"{LEFTOVER} AND a.guid = :guid")
    found = await tx.execute(still, {"guid": guid, "patience": patience})
    return found.first() is not None


async def note_discarded(tx: AsyncConnection, guid: str) -> None:
    """Note that files of an asset that are not durable in the archive went with its share."""
    mine = update(file).where(file.c.asset_guid == guid, file.c.synchronised_at.is_(None))
    await tx.execute(mine.values(uploaded_at=None))


async def upload_again(tx: AsyncConnection, guid: str, *, actor: str, why: str) -> bool:
    """Have an asset's files brought into a share again; whether a stage is known that does it.

    Its claimed synchronise goes back to waiting for that one when it finishes.
    """
    ids = list((await tx.execute(UPLOADS, {"guid": guid})).scalars())
    for job_id in ids:
        await resubmit(tx, job_id, actor=actor, why=why)
    return bool(ids)
