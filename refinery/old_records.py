"""Records that left the database, at a terminal: where they are, and putting them back."""

import asyncio
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from refinery import connections
from refinery.addresses import of_running
from refinery.settings import Settings
from tasks.files.record_folders import Manifest, UnreadableRecords, read_folder
from track.records import returning
from track.records.leaving import folders_of
from track.records.returning import TABLES, RecordsDoNotFit
from track.schema.database import transact


def put_back(settings: Settings, folder: Path) -> str:
    """Put all records of a folder back; what was done, in a line. Putting them twice does nothing.

    A name as `refinery why` gives it is taken from the folder that is set. Raises NotRunning,
    UnreadableRecords, RecordsDoNotFit; nothing is changed then.
    """
    where = folder if folder.exists() else settings.records / folder
    return asyncio.run(restore(of_running(settings).database, where))


async def restore(database_url: str, folder: Path) -> str:
    """The same for the database at an address."""
    manifest, rows = read_folder(folder)
    if not rows.keys() <= TABLES.keys() or not rows:
        raise UnreadableRecords(
            f"{folder}, files: they are of {', '.join(rows) or 'nothing'}, not of"
            f" {', '.join(TABLES)}; put them back with the version that wrote them"
        )
    async with connections.database(database_url, pool=1) as engine:
        put = await transact(engine, _insert, folder, manifest, rows)
    told = ", ".join(f"{number} of {table}" for table, number in put.items())
    return f"{folder.name}: {len(manifest.assets)} assets, rows put back: {told}"


async def _insert(
    tx: AsyncConnection, folder: Path, manifest: Manifest, rows: dict[str, bytes]
) -> dict[str, int]:
    put = {}
    for each in sorted(manifest.files, key=lambda each: [*TABLES].index(each.table)):
        try:
            put[each.table] = await returning.put_back(
                tx, each.table, each.columns, rows[each.table]
            )
        except RecordsDoNotFit as error:
            raise RecordsDoNotFit(f"{folder / each.name}, {error}") from error
    return put


async def left(database_url: str, guid: str) -> list[str]:
    """The folders that an asset's records went to, oldest first; none for what is no asset."""
    async with connections.database(database_url, pool=1) as engine:
        return await transact(engine, folders_of, guid)
