"""The stand-in's own database.

All that must outlive a restart is here or in the two directories; the rest (locks, fault
rules) dies with the process, as it does in the archive.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from demo.ars import tables

Connection = AsyncConnection[DictRow]
Row = dict[str, Any]

# One number for "who creates the tables" and one for "who hands out disk space".
_CREATING, _ALLOCATING = 7_301, 7_302
CONNECT_S = 600.0  # the pool closes itself afterwards; a loaded database only takes long


class Store:
    """A small connection pool; every piece of work is one transaction."""

    def __init__(self, database_url: str) -> None:
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            database_url.replace("+psycopg", "", 1),
            connection_class=AsyncConnection[DictRow],
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "options": f"-c search_path={tables.SCHEMA}",
            },
            min_size=1,
            max_size=8,
            open=False,
        )

    async def open(self) -> None:
        """Connect and create what is missing; two stand-ins may start at the same moment."""
        await self._pool.open(wait=True, timeout=CONNECT_S)
        async with self.transaction() as db:
            await db.execute("SELECT pg_advisory_xact_lock(%s)", [_CREATING])
            await db.execute(tables.CREATE)

    async def close(self) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        async with self._pool.connection() as db, db.transaction():
            yield db


async def one(db: Connection, sql: str, *values: object) -> Row | None:
    return await (await db.execute(sql.encode(), values)).fetchone()


async def rows(db: Connection, sql: str, *values: object) -> list[Row]:
    return await (await db.execute(sql.encode(), values)).fetchall()


async def find(db: Connection, table: str, *, lock: bool = False, **wanted: object) -> Row | None:
    """The row whose columns have these values; with `lock`, held until the transaction ends."""
    where = " AND ".join(f"{column} = %s" for column in wanted)
    suffix = " FOR UPDATE" if lock else ""
    return await one(db, f"SELECT * FROM {table} WHERE {where}{suffix}", *wanted.values())


async def number(db: Connection, sql: str, *values: object) -> int:
    """The one number that a query finds."""
    row = await one(db, sql, *values)
    assert row is not None
    return int(row["number"])


async def insert(db: Connection, table: str, *, conflict: str = "", **values: object) -> Row | None:
    """Add a row and return it; `conflict` is the rest of an ON CONFLICT clause."""
    places = ", ".join(["%s"] * len(values))
    sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})"
    sql += f" ON CONFLICT {conflict}" if conflict else ""
    return await one(db, f"{sql} RETURNING *", *values.values())


async def run(db: Connection, sql: str, *values: object) -> int:
    """Execute and return the number of rows touched."""
    return (await db.execute(sql.encode(), values)).rowcount


async def is_term(db: Connection, kind: str, name: str) -> bool:
    """Whether the controlled vocabulary of this kind has the name."""
    return await find(db, "term", kind=kind, name=name) is not None


async def hold_disk(db: Connection) -> None:
    """Until this transaction ends, nobody else allocates space on the share mount."""
    await db.execute("SELECT pg_advisory_xact_lock(%s)", [_ALLOCATING])
