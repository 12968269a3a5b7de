"""Old records leave the database: a page of assets at a time goes into a folder of its own.

A page is one transaction: its assets are held, their rows copied out, written, read back, and
those that were read dropped. Killed before the commit it has left a folder that nobody refers
to, and the next sweep writes another; killed after it, all of it is done. After the assets go
pages of rows that none of them owns.
"""

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from prefect.artifacts import Artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from blocks.store import LocalStore
from tasks.files.record_folders import WRITING, read_ids, remove_unfinished, write_folder
from tasks.upkeep.database import open_database
from track.records import aged, leaving
from track.records.aged import AgedPlace
from track.records.leaving import OldPage, Place
from track.schema.database import transact

PAGE = 200
"""Assets of one folder: some megabytes, a second's work, and as long none of them is done again."""

AGED_PAGE = 1000
"""Rows of one folder that no asset owns."""

MAX_LINES = 1000
"""Lines of a report: Prefect's artifacts are read by people."""


@dataclass(frozen=True)
class RecordsPage:
    """What became of one page; `folder` is empty when nothing left, `rows` what was dropped."""

    old: OldPage
    folder: str = ""
    rows: int = 0


@dataclass(frozen=True)
class AgedRecords:
    """What became of one page of rows that no asset owns, by its table; `rows` may or did leave."""

    table: str
    rows: int
    last: AgedPlace | None
    folder: str = ""


@dataclass(frozen=True)
class RecordsSweep:
    """One sweep through the assets that ended more than `keep` ago."""

    engine: AsyncEngine
    folder: Path
    keep: timedelta
    dry_run: bool

    async def pages(self) -> AsyncIterator[RecordsPage]:
        """Have every asset's records leave that may, a page after another. Raises FileError."""
        await WRITING.run(remove_unfinished, self.folder)
        after: Place | None = leaving.START
        while after is not None:
            page = await transact(self.engine, self._page, after)
            if page.old.last is not None:
                yield page
            after = page.old.last

    async def aged_pages(self) -> AsyncIterator[AgedRecords]:
        """Have old rows leave that no asset owns, a page after another. Raises FileError."""
        for table, first in aged.START.items():
            after: AgedPlace | None = first
            while after is not None:
                page = await transact(self.engine, self._aged_page, table, after)
                if page.rows:
                    yield page
                after = page.last

    async def _aged_page(self, tx: AsyncConnection, table: str, after: AgedPlace) -> AgedRecords:
        old = await aged.aged_page(tx, table, self.keep, after=after, limit=AGED_PAGE)
        if self.dry_run or not old.ids:
            return AgedRecords(table, len(old.ids), old.last)
        folder, ids = await self._write(tx, (), {table: await aged.copy_aged(tx, old)})
        gone = await aged.drop_aged(tx, table, ids[table], folder)
        return AgedRecords(table, gone, old.last, folder)

    async def _page(self, tx: AsyncConnection, after: Place) -> RecordsPage:
        old = await leaving.old_page(tx, self.keep, after=after, limit=PAGE)
        guids = old.leaving
        if self.dry_run or not guids:
            return RecordsPage(old)
        rows = {table: await leaving.copy_out(tx, table, guids) for table in leaving.TABLES}
        folder, ids = await self._write(tx, guids, rows)
        return RecordsPage(old, folder, await leaving.drop(tx, guids, ids, folder))

    async def _write(
        self, tx: AsyncConnection, guids: Sequence[str], rows: Mapping[str, bytes]
    ) -> tuple[str, dict[str, list[str]]]:
        """Write the rows into a folder of their own; its name, and the ids as read from it."""
        revision = await leaving.revision(tx)
        folder = await WRITING.run(write_folder, self.folder, revision, guids, rows)
        return folder, await WRITING.run(read_ids, self.folder / folder)


@asynccontextmanager
async def sweeping(keep: timedelta, *, dry_run: bool) -> AsyncIterator[RecordsSweep]:
    """A sweep with what it needs."""
    store: LocalStore = await LocalStore.aload("default")
    async with open_database() as engine:
        yield RecordsSweep(engine, store.records_folder, keep, dry_run)


async def report(sweep: RecordsSweep) -> State:
    """Have all of it done, show it as a table in the UI, and sum it up in one line."""
    run_log = get_run_logger()
    assets = rows = 0
    lines: list[dict[str, object]] = []
    stayed: Counter[str] = Counter()
    async for page in sweep.pages():
        assets, rows = assets + len(page.old.leaving), rows + page.rows
        stayed.update(page.old.staying.values())
        lines = [*lines, *_lines(page)][:MAX_LINES]
        if page.folder:
            run_log.info("%s: %d assets, %d rows", page.folder, len(page.old.leaving), page.rows)
    owned_by_none: Counter[str] = Counter()
    async for each in sweep.aged_pages():
        owned_by_none[each.table] += each.rows
        line = {"what": f"{each.table}: {each.folder or 'would leave'}", "rows": each.rows}
        lines = [*lines, {**line, "assets": 0}][:MAX_LINES]
    for why, number in stayed.items():
        run_log.info("the records of %d assets stay: %s", number, why)
    went = "would leave of" if sweep.dry_run else "left of"
    summary = f"records {went} {assets} assets, {rows} rows; stayed of {stayed.total()}"
    for table, number in owned_by_none.items():
        summary += f"; {number} of {table} {went.removesuffix(' of')}"
    if lines or sweep.dry_run:
        told = f"{summary}; below {sweep.folder}"
        await Artifact(type="table", key="records", description=told, data=lines).acreate()
    return Completed(message=summary)


def _lines(page: RecordsPage) -> Iterator[dict[str, object]]:
    """What left together first, then each asset whose records stay."""
    if page.old.leaving:
        what = page.folder or "would leave"
        yield {"what": what, "assets": len(page.old.leaving), "rows": page.rows}
    for guid, why in page.old.staying.items():
        yield {"what": f"{guid}: {why}", "assets": 1, "rows": 0}
