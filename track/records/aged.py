"""Rows that leave by their own age, since no specimen owns them: found, copied out, and dropped.

They are ended dispatchers, and batches that a site refused. A batch that a site took leaves with
the last of its attempts (`track.records.leaving`). What anything still refers to stays.

The caller copies and drops in one transaction, which holds the rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.records.leaving import LEFT, copy_rows
from track.schema.history import record
from track.schema.tables import batch, dispatcher

TABLES: dict[str, Table] = {each.name: each for each in (batch, dispatcher)}

AgedPlace = tuple[datetime, str]
"""A row's place among those of its table that ended: since when, and its id."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)
START: dict[str, AgedPlace] = {
    "batch": (_BEGINNING, "0"),
    "dispatcher": (_BEGINNING, str(UUID(int=0))),
}


@dataclass(frozen=True)
class AgedPage:
    """The next rows of a table that may leave; `last` is where to go on, None at the end."""

    table: str
    ids: tuple[str, ...] = ()
    last: AgedPlace | None = None


# Each reads one row by an index for each of its own: an EXISTS may be answered by reading all.
UNREFERRED = {
    "batch": "(SELECT t.id FROM track.attempt t WHERE t.batch_id = r.id LIMIT 1) IS NULL",
    "dispatcher": """
        (SELECT j.id FROM track.job j WHERE j.state IN ('claimed', 'returned')
            AND j.session_id = r.session_id AND j.dispatcher_id = r.id LIMIT 1) IS NULL
    """,
}
# The conditions of the indexes batch_refused and dispatcher_ended.
ENDED = {"batch": "r.state = 'refused'", "dispatcher": "r.ended_at IS NOT NULL"}
ID_TYPE = {"batch": "bigint", "dispatcher": "uuid"}

OLD = {
    table: text(f"""
        SELECT CAST(r.id AS text) AS id, r.ended_at FROM track.{table} r
        WHERE {ENDED[table]} AND r.ended_at < now() - CAST(:keep AS interval)
          AND (r.ended_at, r.id) > (CAST(:at AS timestamptz), CAST(:id AS {ID_TYPE[table]}))
          AND {UNREFERRED[table]}
        ORDER BY r.ended_at, r.id LIMIT :limit
        FOR UPDATE SKIP LOCKED
    """)
    for table in TABLES
}
DROP = {
    table: text(f"""
        DELETE FROM track.{table} r
        WHERE r.id = ANY(CAST(:ids AS {ID_TYPE[table]}[])) AND {UNREFERRED[table]}
    """)
    for table in TABLES
}


async def aged_page(
    tx: AsyncConnection, table: str, keep: timedelta, *, after: AgedPlace, limit: int
) -> AgedPage:
    """Hold the next rows of a table that ended more than `keep` ago and that nothing refers to."""
    given = {"keep": keep, "at": after[0], "id": after[1], "limit": limit}
    rows = (await tx.execute(OLD[table], given)).all()
    last = (rows[-1].ended_at, rows[-1].id) if rows else None
    return AgedPage(table, tuple(row.id for row in rows), last)


async def copy_aged(tx: AsyncConnection, page: AgedPage) -> bytes:
    """The rows of a page as CSV with a header."""
    chosen = f"track.{page.table} r WHERE r.id = ANY(CAST(%(ids)s AS {ID_TYPE[page.table]}[]))"
    return await copy_rows(tx, TABLES[page.table], chosen, {"ids": [*page.ids]})


async def drop_aged(tx: AsyncConnection, table: str, ids: Sequence[str], folder: str) -> int:
    """Drop these rows that `aged_page` holds; how many went. The history says where to."""
    gone = (await tx.execute(DROP[table], {"ids": [*ids]})).rowcount
    await record(tx, actor="records", what=LEFT, old=table, new=folder, why=f"{gone} rows")
    return int(gone)
