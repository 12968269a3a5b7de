"""Bringing files into an asset's share: only those ARS lacks, never while it synchronises.

A file that arrives while ARS synchronises may be listed as saved and then deleted with
the share.
"""

import asyncio
from collections.abc import Sequence

from blocks.ars_client import RECEIVED, ArsClient, AssetStatus, FileRow
from blocks.tier import LocalFile, TierBusy, TierCorrupted, TierUnknown
from schemas.files import megabytes
from tasks.archive.ars.share import ensure_share_open, known

Place = tuple[str, str, str]
"""An asset's guid, institution and collection."""

AGAIN = (0.5, 4.0)
"""Seconds before a file is sent a second and a third time, after looking each time."""


async def ensure_uploaded(
    ars: ArsClient,
    guid: str,
    institution: str,
    collection: str,
    files: Sequence[LocalFile],
) -> tuple[str, ...]:
    """Have ARS list every file with our CRC and size; the names of those it lacked, now sent.

    Opens a share if there is none and enlarges one that is too small. Raises TierBusy while
    ARS synchronises, SourceLost for a file of ours that changed, TierCorrupted when it
    arrived damaged three times, TierUnknown when ARS took a file and does not list it.
    """
    rows = await ars.files.listed(guid)
    lacking = _lacking(rows, files)
    if lacking:
        place = guid, institution, collection
        await _make_room(ars, place, rows, lacking)
        for file in lacking:
            await _send(ars, place, file)
        lost = _lacking(await ars.files.listed(guid), lacking)
        if lost:
            names = ", ".join(file.name for file in lost)
            raise TierUnknown(f"asset {guid}: ARS took {names} but does not list what was sent")
    return tuple(file.name for file in lacking)


def _lacking(rows: Sequence[FileRow], files: Sequence[LocalFile]) -> list[LocalFile]:
    return [file for file in files if not any(row.holds(file) for row in rows)]


async def _make_room(
    ars: ArsClient, place: Place, rows: Sequence[FileRow], lacking: Sequence[LocalFile]
) -> None:
    status = await _not_synchronising(ars, place[0])
    held = sum(row.size_bytes for row in rows if not row.leaving)
    for parent in status.parent_guids:
        held += sum(row.size_bytes for row in await ars.files.listed(parent))
    needed = sum(megabytes(file.size_bytes) for file in lacking) + (megabytes(held) if held else 0)
    if (status.share_allocation_mb or 0) < needed:
        await ensure_share_open(ars, *place, needed, status.parent_guids)


async def _send(ars: ArsClient, place: Place, file: LocalFile) -> None:
    guid = place[0]
    for wait in (*AGAIN, None):
        await _not_synchronising(ars, guid)
        try:
            return await ars.files.upload(*place, file)
        except (TierUnknown, TierCorrupted):
            if not _lacking(await ars.files.listed(guid), [file]):
                return None
            if wait is None:
                raise
        await asyncio.sleep(wait)
    return None


async def _not_synchronising(ars: ArsClient, guid: str) -> AssetStatus:
    status = await known(ars, guid)
    if status.status == RECEIVED:
        raise TierBusy(f"asset {guid} is being synchronised: nothing may be uploaded")
    return status
