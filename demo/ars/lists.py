"""Controlled vocabularies: the names that an asset may use, by kind."""

from demo.ars.store import Connection, one, run


async def has(db: Connection, kind: str, name: str) -> bool:
    sql = "SELECT 1 AS yes FROM term WHERE kind = %s AND name = %s"
    return await one(db, sql, kind, name) is not None


async def add(db: Connection, kind: str, *values: str) -> None:
    for name in values:
        sql = "INSERT INTO term (kind, name) VALUES (%s, %s) ON CONFLICT DO NOTHING"
        await run(db, sql, kind, name)
