"""Where a specimen's picture may lie, by what is on record of it."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# A derivative shows what its specimen shows, and its own file lies at a site.
SOURCE = text("""
    SELECT a.guid, a.file_name, a.local_path, a.source_path,
           f.names, coalesce(f.version, '') AS version
    FROM track.asset of
    JOIN track.asset a ON a.guid = coalesce(of.parent_guid, of.guid)
    LEFT JOIN LATERAL (
        SELECT array_agg(f.name ORDER BY f.id) AS names,
               lpad(to_hex(min(f.crc32)), 8, '0') AS version
        FROM track.file f
        WHERE f.asset_guid = a.guid AND f.site IS NULL AND f.type <> 'json'
    ) f ON true
    WHERE of.guid = :guid
""")


@dataclass(frozen=True)
class PictureSource:
    """Where a specimen's picture may lie: folders, and the names it has there.

    `version` is what its content is known by; empty before it was taken in. `file_name` is its
    base name, for pictures that nobody has taken in yet.
    """

    guid: str
    file_name: str
    names: tuple[str, ...] = ()
    version: str = ""
    store: str | None = None
    drive: str | None = None


async def picture_source(tx: AsyncConnection, guid: str) -> PictureSource | None:
    """Where the picture of an asset, or of what it was derived from, may lie; None: no asset."""
    row = (await tx.execute(SOURCE, {"guid": guid})).one_or_none()
    if row is None:
        return None
    return PictureSource(
        guid=row.guid,
        file_name=row.file_name,
        names=tuple(row.names or ()),
        version=row.version,
        store=row.local_path,
        drive=row.source_path,
    )
