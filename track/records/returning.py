"""Records that left, put back with the ids they had; those that are there stay as they are.

Rows are compared with what the database has: records of another database would otherwise be
skipped without a word, or be put beside jobs of others that bear the same numbers.
"""

from collections.abc import Sequence

from psycopg import DataError, sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from track.records import aged, leaving

TABLES = leaving.TABLES | aged.TABLES

OWNER = {
    "history": "asset_guid",
    "inbox": "asset_guid",
    "attempt": "job_id",
    "batch": "key",
    "dispatcher": "session_id",
}
"""Whose a row is: the same in the file and in the database, wherever both have its id."""

OTHERS = """
    SELECT b.id FROM back b JOIN track.{table} r ON r.id = b.id
    WHERE r.{owner} IS DISTINCT FROM b.{owner} LIMIT 1
"""
NOBODYS = {
    "history": ("asset_guid", "track.asset", "guid"),
    "attempt": ("job_id", "track.job", "id"),
    "batch": ("stage_id", "track.stage", "id"),
    "dispatcher": ("session_id", "track.session", "id"),
}
"""What a row refers to and must find: the column, the table, and what that is known by there."""

NOT_HERE = """
    SELECT b.{column} FROM back b LEFT JOIN {other} o ON o.{known_by} = b.{column}
    WHERE b.{column} IS NOT NULL AND o.{known_by} IS NULL LIMIT 1
"""
NUMBERED = ("history", "inbox", "attempt", "batch")
"""Tables whose ids the database counts on."""

INSERT = """
    INSERT INTO track.{table} ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {columns} FROM back ORDER BY id ON CONFLICT DO NOTHING
"""
# Where an older copy of the database was restored, its numbers may begin before these.
ONWARD = """
    SELECT setval(s.name, b.id) FROM
        (SELECT pg_get_serial_sequence('track.{table}', 'id') AS name) s,
        (SELECT max(id) AS id FROM back) b
    WHERE b.id > coalesce(pg_sequence_last_value(CAST(s.name AS regclass)), 0)
"""


class RecordsDoNotFit(ValueError):
    """Records cannot be put back here; the text names table, field and remedy."""


async def put_back(tx: AsyncConnection, table: str, columns: Sequence[str], rows: bytes) -> int:
    """Insert the rows of a CSV (with its header) that are not there; how many.

    An insert adds to no total: usage was counted when each attempt ended. Raises RecordsDoNotFit,
    and then the caller takes everything back.
    """
    if table not in TABLES:
        raise RecordsDoNotFit(f"table: {table} is none of {', '.join(TABLES)}")
    if unknown := [name for name in columns if name not in TABLES[table].columns]:
        raise RecordsDoNotFit(
            f"columns: track.{table} has no column {unknown[0]}; put them back with the version"
            " that wrote them"
        )
    listed = ", ".join(columns)
    await tx.execute(text("DROP TABLE IF EXISTS pg_temp.back"))
    await tx.execute(
        text(
            f"CREATE TEMPORARY TABLE back ON COMMIT DROP AS"
            f" SELECT {listed} FROM track.{table} WITH NO DATA"
        )
    )
    await _stage(tx, columns, rows)
    await _refuse_others(tx, table)
    put = await tx.execute(text(INSERT.format(table=table, columns=listed)))
    if table in NUMBERED:
        await tx.execute(text(ONWARD.format(table=table)))
    return int(put.rowcount)


async def _stage(tx: AsyncConnection, columns: Sequence[str], rows: bytes) -> None:
    asked = sql.SQL("COPY back ({}) FROM STDIN (FORMAT csv, HEADER)").format(
        sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    connection = (await tx.get_raw_connection()).driver_connection
    assert connection is not None
    try:
        async with connection.cursor() as cursor, cursor.copy(asked) as copy:
            await copy.write(rows)
    except DataError as error:
        where = error.diag.context or ""
        raise RecordsDoNotFit(
            f"{where}: {error.diag.message_primary}; take this file from a backup of the folder"
        ) from error


async def _refuse_others(tx: AsyncConnection, table: str) -> None:
    """Raise RecordsDoNotFit for rows of what is not here, or is another's."""
    if table in NOBODYS:
        column, other, known_by = NOBODYS[table]
        asked = NOT_HERE.format(column=column, other=other, known_by=known_by)
        nobody = (await tx.execute(text(asked))).first()
        if nobody is not None:
            raise RecordsDoNotFit(
                f"{column}: {nobody[0]} is not in this database; {_of_another(column)}"
            )
    owner = OWNER[table]
    found = (await tx.execute(text(OTHERS.format(table=table, owner=owner)))).first()
    if found is not None:
        raise RecordsDoNotFit(f"id {found[0]}: it is another {owner}'s here; {_of_another(owner)}")


def _of_another(column: str) -> str:
    return f"they are of another database: put them back where {column} is the same"
