"""What was taken in from a folder, to be held against what lies there when it is seen again."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schemas.quarantine import QuarantineEntry
from track.commands.attention import hold
from track.commands.legacy import warn
from track.schema.history import record

TAKEN = text("""
    SELECT a.guid, f.id, f.name, f.size_bytes, f.sha256, f.source_mtime
    FROM track.asset a
    JOIN track.file f ON f.asset_guid = a.guid AND f.site IS NULL AND f.sha256 IS NOT NULL
    WHERE a.guid = ANY(CAST(:guids AS text[])) AND a.source_path = :folder
    ORDER BY f.id
""")
DOCUMENTS = text("""
    SELECT a.guid, d.arrived
    FROM track.asset a JOIN metadata.document d ON d.asset_guid = a.guid
    WHERE a.guid = ANY(CAST(:guids AS text[])) AND a.source_path = :folder
    ORDER BY a.guid
""")
INGEST_OF = text("""
    SELECT j.id FROM track.job j
    JOIN track.stage s ON s.id = j.stage_id AND s.kind = 'builtin' AND s.run = 'ingest'
    WHERE j.asset_guid = :guid
    ORDER BY j.id DESC LIMIT 1
""")
SAID = text("""
    SELECT EXISTS (SELECT 1 FROM track.history
                    WHERE asset_guid = :guid AND what = 'asset.replaced' AND new = :what)
""")
SAME_AFTER_ALL = text("UPDATE track.file SET source_mtime = :mtime WHERE id = :id")


async def taken_from(tx: AsyncConnection, folder: str, guids: Sequence[str]) -> list[Row[Any]]:
    """The files of these assets that were taken in from this folder."""
    asked = {"guids": list(guids), "folder": folder}
    return list((await tx.execute(TAKEN, asked)).all())


async def documents_from(
    tx: AsyncConnection, folder: str, guids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """The documents, as they arrived, of the assets that were taken in from this folder."""
    rows = await tx.execute(DOCUMENTS, {"guids": list(guids), "folder": folder})
    return {row.guid: row.arrived for row in rows}


async def same_after_all(tx: AsyncConnection, file_id: int, mtime: int) -> None:
    """Note the time of a file whose content is what was taken in, so that it is not read again."""
    await tx.execute(SAME_AFTER_ALL, {"id": file_id, "mtime": mtime})


async def warn_of_ingest(tx: AsyncConnection, guid: str, what: str) -> None:
    """Add a warning to the ingest of an asset, once."""
    for job_id in (await tx.execute(INGEST_OF, {"guid": guid})).scalars().all():
        await warn(tx, job_id, what.replace("; ", ", "))


async def note_replaced(
    tx: AsyncConnection, session_id: UUID, changes: Mapping[str, QuarantineEntry], *, actor: str
) -> None:
    """Say on each asset that what lies in its folder is not what was taken in."""
    for guid, what in ((guid, str(entry)) for guid, entry in changes.items()):
        await warn_of_ingest(tx, guid, what)
        await record(
            tx, actor=actor, what="asset.replaced", session_id=session_id,
            asset_guid=guid, new=what,
        )  # fmt: skip


async def note_suspect(tx: AsyncConnection, guid: str, what: str, *, actor: str) -> None:
    """Hold an asset for a person whose archived copy is not what its original holds.

    Said once: a person who lets it go on is not asked again about the same.
    """
    if (await tx.execute(SAID, {"guid": guid, "what": what})).scalar_one():
        return
    await warn_of_ingest(tx, guid, what)
    await record(tx, actor=actor, what="asset.replaced", asset_guid=guid, new=what)
    await hold(tx, guid, [what], actor=actor)
