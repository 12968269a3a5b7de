"""Records of old assets: found, copied out, and dropped.

An asset's records are its rows of `track.history`, `track.inbox` and `track.attempt`. They leave
together, once the asset has been at its end for long and nothing of it is open; a row of
`track.batch` leaves with the last of its attempts. What is asked of an asset that is done again
stays: what people decided about it, and the last attempt of each job, from which its site, its
times and the next attempt's number are read.

The caller copies and drops in one transaction, which holds the assets: none can be done again
between the two.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, Table, case, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from track.records.documents import is_unpushed
from track.schema.arrays import any_of, array_of
from track.schema.history import record_all
from track.schema.tables import asset, attempt, batch, document, history, inbox, job, stage
from track.schema.totals import OVER

LEFT = "records.left"
"""How history calls it that an asset's records left; `new` names the folder they went to."""

STAYS = (LEFT, "asset.attention", "asset.replaced")
"""Rows of history that are read for ever: what a person was asked and has answered
(`track.commands.attention`, `track.commands.replaced`), and where the others are."""

TABLES: dict[str, Table] = {each.name: each for each in (history, inbox, attempt, batch)}
"""Whose rows leave; they come back in the same order."""

Place = tuple[datetime, str]
"""An asset's place among those that ended: since when, and its guid."""

START: Place = (datetime.min.replace(tzinfo=UTC), "")


@dataclass(frozen=True)
class OldPage:
    """The next assets that ended long ago: those whose records may leave, and why others' stay.

    `last` is where to go on; None: there are no more.
    """

    leaving: tuple[str, ...] = ()
    staying: Mapping[str, str] = field(default_factory=dict)
    last: Place | None = None


# Its first two conditions are those of the index asset_records. Nobody is waited for: what is
# held by another is being done again, or its turn comes with the next sweep.
OLD = text("""
    SELECT guid, finalised_at FROM track.asset
    WHERE finalised_at IS NOT NULL AND records_left_at IS NULL
      AND finalised_at < now() - CAST(:keep AS interval)
      AND (finalised_at, guid) > (CAST(:at AS timestamptz), :guid)
    ORDER BY finalised_at, guid LIMIT :limit
    FOR NO KEY UPDATE SKIP LOCKED
""")


async def old_page(
    tx: AsyncConnection, keep: timedelta, *, after: Place = START, limit: int = 200
) -> OldPage:
    """Hold the next assets that ended more than `keep` ago, and judge each of them."""
    given = {"keep": keep, "at": after[0], "guid": after[1], "limit": limit}
    rows = (await tx.execute(OLD, given)).all()
    if not rows:
        return OldPage()
    guids = [row.guid for row in rows]
    staying = {row.guid: str(row.why) for row in await tx.execute(_open(guids))}
    leaving = tuple(guid for guid in guids if guid not in staying)
    return OldPage(leaving, staying, (rows[-1].finalised_at, rows[-1].guid))


def _open(guids: Collection[str]) -> Select[tuple[str, str]]:
    """Which of these assets have something open, and what.

    Each part is one row by an index: an EXISTS is answered by reading all there ever was.
    """
    unfinished = (
        select(job.c.id)
        .join(stage, stage.c.id == job.c.stage_id)
        .where(job.c.asset_guid == asset.c.guid, job.c.state.not_in(OVER))
        .where(stage.c.archived_at.is_(None))
    )
    at_site = (
        select(attempt.c.id)
        .join(job, job.c.id == attempt.c.job_id)
        .where(job.c.asset_guid == asset.c.guid, attempt.c.closed_at.is_(None))
    )
    unpushed = select(document.c.asset_guid).where(
        document.c.asset_guid == asset.c.guid, is_unpushed()
    )

    def found(rows: Select[tuple[object]]) -> ColumnElement[bool]:
        return rows.limit(1).scalar_subquery().is_not(None)

    why = case(
        (asset.c.quarantine.is_not(None), "it is in quarantine"),
        (asset.c.attention.is_not(None), "it is held for a person"),
        (asset.c.reopened_at.is_not(None), "it has something to do again"),
        (found(unfinished), "a stage of it is not over"),
        (found(at_site), "an attempt of it is open"),
        (found(unpushed), "the archive lacks metadata of it"),
    )
    judged = select(asset.c.guid, why.label("why")).where(any_of(asset.c.guid, guids)).subquery()
    return select(judged).where(judged.c.why.is_not(None))


# Of the last attempt of a job the number counts on: fences and tokens rest on it.
GOES = """t.id IS DISTINCT FROM j.attempt_id
          AND t.n < (SELECT max(n) FROM track.attempt WHERE job_id = j.id)"""
"""Whether an attempt `t` of the job `j` leaves with the other records."""

# OFFSET 0 keeps it to these assets' own: joined as a whole, all attempts there ever were are read.
OF_ASSETS = """
    track.job j CROSS JOIN LATERAL (SELECT * FROM track.attempt WHERE job_id = j.id OFFSET 0) {name}
    WHERE j.asset_guid = ANY(%(guids)s)
"""

ROWS = {
    "history": "track.history r WHERE r.asset_guid = ANY(%(guids)s)",
    "inbox": "track.inbox r WHERE r.asset_guid = ANY(%(guids)s)",
    "attempt": OF_ASSETS.format(name="r"),
    # Those to which no attempt refers but such as leave with these assets.
    "batch": f"""
        track.batch r WHERE r.ended_at IS NOT NULL AND r.id = ANY(ARRAY(
            SELECT DISTINCT t.batch_id FROM {OF_ASSETS.format(name="t")}
            AND t.batch_id IS NOT NULL AND {GOES}))
        AND (SELECT t.id FROM track.attempt t JOIN track.job j ON j.id = t.job_id
              WHERE t.batch_id = r.id AND NOT (j.asset_guid = ANY(%(guids)s) AND {GOES})
              LIMIT 1) IS NULL""",
}


async def copy_out(tx: AsyncConnection, table: str, guids: Collection[str]) -> bytes:
    """All rows of these assets in one of the tables, as CSV with a header, in PostgreSQL's form."""
    return await copy_rows(tx, TABLES[table], ROWS[table], {"guids": [*guids]})


async def copy_rows(
    tx: AsyncConnection, table: Table, rows: str, given: Mapping[str, Sequence[str]]
) -> bytes:
    """The same of any table; `rows` is what follows FROM, where the table is called `r`."""
    columns = ", ".join(f"r.{column.name}" for column in table.columns)
    asked = f"COPY (SELECT {columns} FROM {rows} ORDER BY r.id) TO STDOUT (FORMAT csv, HEADER)"
    connection = (await tx.get_raw_connection()).driver_connection
    assert connection is not None
    async with connection.cursor() as cursor, cursor.copy(asked, given) as copy:
        return b"".join([bytes(chunk) async for chunk in copy])


async def revision(tx: AsyncConnection) -> str:
    """The newest migration of this database."""
    return str((await tx.execute(text("SELECT version_num FROM alembic_version"))).scalar_one())


DROP = {
    "history": f"""
        DELETE FROM track.history
        WHERE id = ANY(CAST(:ids AS bigint[])) AND what <> ALL({array_of(STAYS)})
    """,
    "inbox": "DELETE FROM track.inbox WHERE id = ANY(CAST(:ids AS bigint[]))",
    "attempt": f"""
        DELETE FROM track.attempt t USING track.job j
        WHERE t.id = ANY(CAST(:ids AS bigint[])) AND j.id = t.job_id AND {GOES}
    """,
    "batch": """
        DELETE FROM track.batch r WHERE r.id = ANY(CAST(:ids AS bigint[]))
        AND (SELECT t.id FROM track.attempt t WHERE t.batch_id = r.id LIMIT 1) IS NULL
    """,
}
"""In this order: a batch goes after the attempts that refer to it."""


async def drop(
    tx: AsyncConnection, guids: Collection[str], ids: Mapping[str, Sequence[str]], folder: str
) -> int:
    """Drop these rows, by table, of assets that `old_page` holds; how many went.

    Each asset, and its history, say that its records left, and for which folder.
    """
    gone = 0
    for table, statement in DROP.items():
        gone += (await tx.execute(text(statement), {"ids": [*ids[table]]})).rowcount
    left = update(asset).where(any_of(asset.c.guid, guids))
    await tx.execute(left.values(records_left_at=func.now()))
    said = [{"asset_guid": guid, "new": folder} for guid in guids]
    await record_all(tx, said, actor="records", what=LEFT)
    return gone


async def folders_of(tx: AsyncConnection, guid: str) -> list[str]:
    """The folders that an asset's records went to, oldest first."""
    said = select(history.c.new).where(history.c.asset_guid == guid, history.c.what == LEFT)
    return list((await tx.execute(said.order_by(history.c.id))).scalars())
