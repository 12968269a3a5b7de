"""Files of an asset, and where its copies lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Row, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.files import FileFacts
from track.schema.tables import asset, file, pipeline, retention


@dataclass(frozen=True)
class AssetRow:
    """What a stage needs to know of an asset; sizes in MB."""

    guid: str
    pipeline: str
    parent_guid: str | None
    file_name: str
    source_path: Path | None
    local_path: Path | None
    size_mb: int
    parent_mb: int


async def read_asset(tx: AsyncConnection, guid: str) -> AssetRow:
    """An asset and the size of its parent, which counts against its share."""
    parent = asset.alias("parent")
    statement = (
        select(asset, pipeline.c.name, func.coalesce(parent.c.size_mb, 0).label("parent_mb"))
        .join(pipeline, pipeline.c.id == asset.c.pipeline_id)
        .outerjoin(parent, parent.c.guid == asset.c.parent_guid)
        .where(asset.c.guid == guid)
    )
    row = (await tx.execute(statement)).one()
    return AssetRow(
        guid=row.guid,
        pipeline=row.name,
        parent_guid=row.parent_guid,
        file_name=row.file_name,
        source_path=Path(row.source_path) if row.source_path else None,
        local_path=Path(row.local_path) if row.local_path else None,
        size_mb=row.size_mb,
        parent_mb=row.parent_mb,
    )


async def expected_files(tx: AsyncConnection, guid: str) -> Sequence[Row[Any]]:
    """What the archive must hold of an asset: rows of `track.file`."""
    mine = select(file).where(file.c.asset_guid == guid, file.c.deleted_at.is_(None))
    return (await tx.execute(mine.order_by(file.c.name))).all()


KNOWN = text("""
    SELECT a.guid, s.path, a.source_path, f.size_bytes
    FROM unnest(CAST(:guids AS text[]), CAST(:names AS text[])) AS k(guid, name)
    JOIN track.asset a ON a.guid = k.guid
    JOIN track.session s ON s.id = a.session_id
    LEFT JOIN track.file f ON f.asset_guid = a.guid AND f.name = k.name
    ORDER BY a.guid
""")


async def known_files(tx: AsyncConnection, names: Mapping[str, str]) -> Sequence[Row[Any]]:
    """What is known of one file of each of these assets; `names` are the files', by guid.

    Rows of guid, its session's path, its own source_path, and size_bytes, None of another file.
    """
    asked = {"guids": list(names), "names": list(names.values())}
    return (await tx.execute(KNOWN, asked)).all()


def facts(row: Row[Any]) -> FileFacts:
    """Those of a row of `track.file`, which were checked when it was written."""
    return FileFacts.model_construct(name=row.name, crc32=row.crc32, size_bytes=row.size_bytes)


async def taken_in(tx: AsyncConnection, guid: str, local_path: Path, size_mb: int) -> None:
    """Note where the asset's checked copy lies, and its true size."""
    mine = update(asset).where(asset.c.guid == guid)
    await tx.execute(mine.values(local_path=str(local_path), size_mb=size_mb))


async def mark_synchronised(tx: AsyncConnection, guid: str) -> None:
    """Note that the archive holds a durable copy of every file, checksum and size verified."""
    mine = update(file).where(file.c.asset_guid == guid, file.c.deleted_at.is_(None))
    now = func.coalesce(file.c.synchronised_at, func.now())
    uploaded = func.coalesce(file.c.uploaded_at, func.now())
    await tx.execute(mine.values(synchronised_at=now, uploaded_at=uploaded))


async def due_for_removal(
    tx: AsyncConnection, guid: str, kind: str, location: str, *, keep: timedelta
) -> None:
    """Enter a temporary copy into the due table; one made again after it was pruned, too.

    Prune looks for the copies that must exist before it deletes any.
    """
    row = {"kind": kind, "asset_guid": guid, "location": location, "due_at": func.now() + keep}
    again = {"due_at": row["due_at"], "done_at": None, "outcome": None}
    statement = insert(retention).values(row)
    await tx.execute(
        statement.on_conflict_do_update(
            index_elements=[retention.c.kind, retention.c.asset_guid, retention.c.location],
            set_=again,
        )
    )
