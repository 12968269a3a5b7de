"""What is asked again and again reads what moves, however much was ever done."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.support.world import World, new
from track.commands import healing
from track.reports import failing, figures, overdue, session_counts, waiting

PIPELINE: dict[str, object] = {
    "pipeline": "P",
    "throttle": {"assets_in_flight": 300},
    "stages": [
        {"key": "create", "run": "refinery.create"},
        {"key": "load", "run": "module load", "needs": "create"},
        {"key": "ocr", "run": "module ocr", "needs": "load"},
    ],
}
DONE = 20_000
ROWS = 5_000
"""Far fewer than are done, far more than move."""
NUMBERED = 100
"""Assets from which on a session is shown in numbers, here."""

FILL = """
    WITH assets AS (
        INSERT INTO track.asset
            (guid, session_id, pipeline_id, file_name, admitted_at, released_at, finalised_at)
        SELECT 'old' || n, :session, p.id, 'old' || n, now(), now(), now()
        FROM generate_series(1, :assets) n, track.pipeline p WHERE p.name = 'P'
        RETURNING guid, session_id, pipeline_id)
    INSERT INTO track.job (asset_guid, session_id, stage_id, state)
    SELECT a.guid, a.session_id, s.id, 'done'
    FROM assets a JOIN track.stage s ON s.pipeline_id = a.pipeline_id
"""
DESCRIBE = """
    INSERT INTO metadata.document
        (asset_guid, body, arrived, arrived_version, revision, ars_revision, updated_at)
    SELECT guid, '{}', '{}', '3', 2, CASE guid WHEN 'old7' THEN 1 ELSE 2 END,
           now() - interval '1 hour'
    FROM track.asset
"""
REMEMBER = """
    INSERT INTO track.history (actor, what, asset_guid, job_id, old, new)
    SELECT 'x', 'job.state', asset_guid, id, 'claimed', 'done' FROM track.job
"""
READ = text("SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_all_tables")
"""Rows that this connection has read and not yet told of elsewhere."""


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    made = await World.make(engine, PIPELINE)
    await made.sql(FILL, session=made.session_id, assets=DONE)
    await made.sql(REMEMBER)
    await made.sql(DESCRIBE)
    await made.register(*(new(f"g{n}") for n in range(320)))
    await made.claim(limit=300)
    async with engine.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await alone.execute(text("VACUUM ANALYZE"))
    return made


async def rows_read(world: World, statement: TextClause, **given: Any) -> int:
    """How many rows a statement takes from tables and indexes."""
    explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}")
    async with world.engine.connect() as connection:
        (plan,) = (await connection.execute(explained, given)).scalar_one()
    return _rows(plan["Plan"])


def _rows(node: dict[str, Any]) -> int:
    own = 0.0
    if "Scan" in node["Node Type"]:
        removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        own = node["Actual Rows"] + sum(node.get(each, 0) for each in removed)
    return round(own * node["Actual Loops"]) + sum(_rows(each) for each in node.get("Plans", ()))


async def test_nothing_that_is_asked_every_minute_reads_what_is_over(world: World) -> None:
    ids = [
        row[0] for row in await world.sql("SELECT id FROM track.job WHERE state <> 'done' LIMIT 20")
    ]
    ((pipeline,),) = await world.sql("SELECT id FROM track.pipeline WHERE name = 'P'")
    asked: dict[str, tuple[TextClause, dict[str, Any]]] = {
        "why each of these stands": (waiting.FACTS, {"jobs": ids}),
        "what stands anywhere": (waiting.ANYWHERE, {"limit": 100}),
        "specimens in flight with a person": (waiting.NEED_PERSON, {"pipelines": [pipeline]}),
        "overdue jobs": (overdue.FIND, {"event": "hpc.job.overdue", "limit": 100}),
        "suspected stages": (failing.SUSPECTS, {}),
        "ends of a stage": (failing.ENDS, {"stages": ["P/load"], "latest": 20, "read": 50}),
        "jobs for Prometheus": (figures.MOVING, {}),
    }
    read = {
        what: await rows_read(world, statement, **given)
        for what, (statement, given) in asked.items()
    }
    assert {what: n for what, n in read.items() if n > ROWS} == {}
    assert await rows_read(world, text("SELECT sum(id) FROM track.job WHERE reason IS NULL")) > ROWS


async def test_a_session_in_numbers_reads_its_own_assets_and_jobs_alone(
    world: World, engine: AsyncEngine
) -> None:
    mine = await World.make(engine, PIPELINE)
    await mine.register(*(new(f"m{n}") for n in range(600)))
    given = {"session": mine.session_id}
    read = {
        "more than": await rows_read(mine, session_counts.MORE_THAN, **given, number=NUMBERED),
        "assets": await rows_read(mine, session_counts.ASSETS, **given),
        "jobs": await rows_read(mine, session_counts.JOBS, **given),
        "with a person": await rows_read(mine, session_counts.WITH_A_PERSON, **given, most=200),
    }
    assert {what: n for what, n in read.items() if n > ROWS} == {}
    assert read["more than"] <= NUMBERED + 1


async def test_looking_for_metadata_that_the_archive_lacks_reads_no_finished_work(
    world: World,
) -> None:
    async with world.engine.begin() as tx:
        before = (await tx.execute(READ)).scalar_one()
        assert await healing.unpushed_metadata(tx, timedelta(minutes=1)) == ["old7"]
        assert (await tx.execute(READ)).scalar_one() - before < ROWS
