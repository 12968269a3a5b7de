"""Finding specimens, and all about one, at a terminal: the same answers as the board's."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Literal

from rich.console import Console
from rich.table import Table

from board.pages.find import CSV_FIELDS, csv_row, plain_specimen
from refinery import connections
from refinery.addresses import of_running
from refinery.settings import Settings
from schemas.specimen_query import read_query
from schemas.tabular import csv_lines, csv_text
from track.reports.find import MAX_COUNT, FindPage, FoundSpecimen, find, find_all, guid_named
from track.reports.life import SpecimenLife, guids_like, life_of, plain_life
from track.reports.printed import PrintedEnd
from track.schema.database import reading

PATIENCE_S = 60.0
"""How long one answer may take."""

Format = Literal["table", "json", "csv"]
LIFE_FIELDS = ("stage", "state", "tries", "began", "ended", "reason")
COLUMNS = ("barcode", "guid", "state", "collection", "digitiser", "workstation", "registered")


def show_found(
    settings: Settings, given: Mapping[str, str], form: Format, *, every: bool = False
) -> None:
    """Print what fits these fields: a page, or all of it, which is written as it is found.

    Raises NotRunning, QueryError.
    """
    query = read_query(given)
    url = of_running(settings).database
    if every:
        asyncio.run(_all(url, dict(query.given), form))
        return
    page = asyncio.run(_page(url, dict(query.given)))
    if form == "table":
        Console(highlight=False).print(table_of(page.specimens))
        print_line(ended(page))
    else:
        write(form, page.specimens)


def ended(page: FindPage) -> str:
    """What is under a page."""
    number = f"more than {MAX_COUNT:,}" if page.number is None else f"{page.number:,}"
    text = f"{number} found; shown {len(page.specimens)}"
    if page.following:
        text += "; --all shows every one, --format csv as a list"
    return text if page.complete else f"{text}; older specimens are still being brought in"


async def _page(url: str, given: Mapping[str, str]) -> FindPage:
    async with connections.database(url, pool=1) as engine, reading(engine, PATIENCE_S) as tx:
        return await find(tx, read_query(given))


async def _all(url: str, given: Mapping[str, str], form: Format) -> None:
    async with connections.database(url, pool=1) as engine:
        rows = find_all(lambda: reading(engine, PATIENCE_S), read_query(given))
        async with aclosing(rows):  # type: ignore[type-var]
            await _write_all(rows, form)


async def _write_all(rows: AsyncIterator[FoundSpecimen], form: Format) -> None:
    """A line for each: of JSON, of CSV, or of a few columns with a tab between them."""
    if form == "csv":
        sys.stdout.write(csv_lines([CSV_FIELDS]))
    async for each in rows:
        if form == "csv":
            sys.stdout.write(csv_lines([csv_row(each)]))
        elif form == "json":
            print_line(json.dumps(plain_specimen(each), ensure_ascii=False))
        else:
            print_line("\t".join(_row(each)))


def write(form: Format, rows: Iterable[FoundSpecimen]) -> None:
    """Specimens as one JSON list, or as CSV with a header."""
    if form == "json":
        print_line(json.dumps([*map(plain_specimen, rows)], ensure_ascii=False, indent=2))
    else:
        sys.stdout.write(csv_text(CSV_FIELDS, map(csv_row, rows)))


def table_of(found: Iterable[FoundSpecimen]) -> Table:
    """What people look for first, a line for each."""
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for each in found:
        table.add_row(*_row(each))
    return table


def _row(each: FoundSpecimen) -> list[str]:
    state = f"{each.state} at {each.stage}" if each.stage else each.state
    barcodes, at = ", ".join(each.barcodes), clock(each.at)
    return [barcodes, each.guid, state, each.collection, each.digitiser, each.workstation, at]


def show_life(settings: Settings, guid: str, form: Format) -> None:
    """Print all about one specimen. Raises NotRunning, and ValueError for a guid nothing has."""
    life = asyncio.run(_life(of_running(settings).database, guid))
    if form == "json":
        print_line(json.dumps(plain_life(life), ensure_ascii=False, indent=2, default=str))
        return
    if form == "csv":
        sys.stdout.write(csv_text(LIFE_FIELDS, stage_rows(life)))
        return
    console = Console(highlight=False)
    for name, text in facts(life):
        console.print(f"[bold]{name:<12}[/bold]", end=" ")
        console.print(text, markup=False, soft_wrap=True)
    table = Table(*LIFE_FIELDS, box=None, pad_edge=False)
    for row in stage_rows(life):
        table.add_row(*row)
    console.print(table)
    for text in printed_words(life):
        console.print(text, markup=False, soft_wrap=True)


async def _life(url: str, guid: str) -> SpecimenLife:
    async with connections.database(url, pool=1) as engine, reading(engine, PATIENCE_S) as tx:
        known = await guid_named(tx, guid)
        life = await life_of(tx, known) if known is not None else None
        if life is None:
            near = ", ".join(await guids_like(tx, guid))
            hint = f"near by are {near}" if near else f"try: refinery find {guid}"
            raise ValueError(f"there is no specimen {guid!r}; {hint}")
        return life


def facts(life: SpecimenLife) -> list[tuple[str, str]]:
    """What is known of a specimen, line by line; empty ones are left out."""
    asset, body = life.asset, life.body
    found = [
        ("guid", asset.guid),
        ("state", life.state),
        ("quarantine", life.quarantine or ""),
        ("held", asset.attention or ""),
        ("barcode", ", ".join(body.get("barcode") or ())),
        ("collection", body.get("collection") or ""),
        ("digitiser", body.get("digitiser") or ""),
        ("parent", asset.parent_guid or ""),
        ("derivatives", ", ".join(row.guid for row in life.derivatives)),
        ("same object", ", ".join(row.guid for row in life.sheets)),
        ("session", f"{asset.session_id} {asset.folder}"),
        ("registered", clock(asset.created_at)),
        ("archived", clock(asset.finalised_at)),
        *(
            (f"copy: {row.kind}", f"{row.location}: {row.outcome or 'there'}")
            for row in life.copies
        ),
        *(
            (
                "file",
                f"{row.name}, {row.size_bytes:,} B, crc32 {row.crc32:08x}, "
                + (
                    f"in ERDA since {clock(row.synchronised_at)}"
                    if row.synchronised_at
                    else "not proven in ERDA"
                ),
            )
            for row in life.files
        ),
        ("records", ", ".join(life.left)),
    ]
    return [(name, text) for name, text in found if text]


def stage_rows(life: SpecimenLife) -> list[list[str]]:
    """A row for each stage: its state, tries, times, and why it stands where it does."""
    return [
        [
            stage.job.stage,
            stage.job.state,
            str(max(stage.job.tries, len(stage.attempts))),
            clock(stage.began_at),
            clock(stage.ended_at),
            (stage.waits.reason if stage.waits else "") or stage.job.warning or "",
        ]
        for stage in life.stages
    ]


def printed_words(life: SpecimenLife) -> list[str]:
    """What was printed last at each stage whose last attempt did not go well."""
    found = []
    for stage in life.stages:
        last = stage.attempts[-1] if stage.attempts else None
        if last is None or last.outcome == "done" or "printed" not in (last.result or {}):
            continue
        end = PrintedEnd(last.n, last.site, last.outcome, last.native_id, last.result["printed"])
        found.append(f"{stage.job.stage}, {end.words}")
    return found


def clock(at: datetime | None) -> str:
    """A moment by this machine's clock; empty for none."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else ""


def print_line(text: str) -> None:
    """A line of the answer."""
    sys.stdout.write(text + "\n")
