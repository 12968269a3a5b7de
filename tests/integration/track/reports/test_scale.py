"""What is asked again and again reads as much after eighty times as many specimens as before."""

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.filled import MOVING, Ask, Filled, recurring
from track.commands import healing
from track.reports import days, failing, period

FEW, MANY = 1_000, 80_000
SLACK = 2_500
"""Rows: far fewer than any table has more by then, and enough for another plan of a small one."""

READ = text("""
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)
    FROM pg_stat_xact_all_tables
    WHERE schemaname IN ('track', 'metadata', 'mos')
      AND relname NOT IN ('pipeline', 'stage', 'edge', 'site')
""")
"""Without the definitions: a few rows, read once for each job that moves by one plan and by
another not, whatever was done before."""


@pytest.fixture
async def filled(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> Filled:
    monkeypatch.setattr(failing, "READ", 300)  # it is the bound of what is read of history
    made = await Filled.make(engine)
    await made.fill(FEW)
    await made.set_moving()
    await made.analyse()
    return made


async def rows_read(filled: Filled, ask: Ask) -> int:
    """Rows taken from tables, by scans and by indexes, until the answer is there."""
    async with filled.world.engine.connect() as tx:
        before = (await tx.execute(READ)).scalar_one()
        await ask(tx)
        found = (await tx.execute(READ)).scalar_one() - before
        await tx.rollback()
    return int(found)


async def test_eighty_times_as_many_finished_specimens_make_no_statement_read_more(
    filled: Filled,
) -> None:
    before = {what: await rows_read(filled, ask) for what, ask in recurring(filled).items()}
    await filled.fill(MANY)
    await filled.analyse()
    after = {what: await rows_read(filled, ask) for what, ask in recurring(filled).items()}
    more = {what: (before[what], n) for what, n in after.items() if n > before[what] + SLACK}
    assert more == {}
    month = partial(period.read_report, what=days.today().isoformat()[:7])
    assert await rows_read(filled, month) < 2 * SLACK
    async with filled.world.engine.connect() as tx:  # what a look at everything reads
        begun = (await tx.execute(READ)).scalar_one()
        await tx.execute(text("SELECT sum(tries) FROM track.job"))
        assert (await tx.execute(READ)).scalar_one() - begun > MANY


async def test_each_open_attempt_is_read_once_by_statistics_of_a_quiet_hour_too(
    engine: AsyncEngine,
) -> None:
    quiet = await Filled.make(engine)
    await quiet.fill(20 * FEW)
    await quiet.analyse()
    await quiet.set_moving()
    ((opened,),) = await quiet.world.sql(
        "SELECT count(*) FROM track.attempt WHERE closed_at IS NULL"
    )
    assert opened == 80
    asked = recurring(quiet)
    whats = ("driver: leave", "alarms: overdue", "alarms: overdue by site")
    read = {what: await rows_read(quiet, asked[what]) for what in whats}
    assert {what: n for what, n in read.items() if n > 10 * opened} == {}


async def test_what_nobody_is_at_is_a_range_of_an_index_on_every_postgresql(
    filled: Filled,
) -> None:
    for statement in (healing.NEGLECTED, healing.FORGOTTEN):
        async with filled.world.engine.connect() as tx:
            given = {"patience": timedelta(0), "page": healing.PAGE}
            rows = await tx.execute(text(f"EXPLAIN {statement.text}"), given)
            lines = list(rows.scalars())
        (at,) = (n for n, line in enumerate(lines) if "using job_open on job j" in line)
        assert "state = " in lines[at + 1] and "updated_at < " in lines[at + 1]


async def test_without_an_archive_no_document_is_looked_at_for_it(filled: Filled) -> None:
    await filled.world.sql("UPDATE metadata.document SET ars_revision = 0")
    ask = recurring(filled)["reconcile: unpushed metadata"]
    assert await rows_read(filled, ask) > FEW
    await filled.world.sql("UPDATE track.stage SET run = 'open_share' WHERE run = 'create'")
    assert await rows_read(filled, ask) < 50


async def test_the_track_record_has_every_asset_once(filled: Filled) -> None:
    counts = "count(*), count(DISTINCT _id), count(*) FILTER (WHERE jobs_status = 'DONE')"
    ((rows, guids, done),) = await filled.world.sql(f"SELECT {counts} FROM track.dassco")
    assert (rows, guids, done) == (FEW + MOVING, FEW + MOVING, FEW)
