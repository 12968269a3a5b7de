"""Batches leave with their attempts; refused ones and dispatchers by their own age, once."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from refinery.old_records import restore
from tasks.files.record_folders import read_folder
from tasks.upkeep import records
from tests.support.old_assets import AGE, KEEP, old_world, sweep
from tests.support.world import World
from track.records import aged
from track.records.leaving import LEFT

BATCH = """
    INSERT INTO track.batch (key, site, stage_id, members, state, external_id, ended_at)
    SELECT CAST(:key AS text), 'here', min(id), '{1,2}', CAST(:state AS text), '17',
           now() - make_interval(days => :days)
    FROM track.stage RETURNING id
"""
IN_BATCH = """
    UPDATE track.attempt t SET batch_id = :batch FROM track.job j
    WHERE j.id = t.job_id AND j.asset_guid = ANY(:guids) AND t.n = :n
"""
DISPATCHER = """
    INSERT INTO track.dispatcher (id, session_id, host, process, alive_until, ended_at, ended_why)
    SELECT gen_random_uuid(), id, 'h', 1, now(), now() - make_interval(days => :days), :why
    FROM track.session
"""
HELD = """
    UPDATE track.job SET state = 'claimed', dispatcher_id = (
        SELECT id FROM track.dispatcher WHERE ended_why = 'holds')
    WHERE id = (SELECT min(id) FROM track.job)
"""


class CutOff(BaseException):
    """What ends a process between two lines."""


async def batch(world: World, key: str, state: str = "ended", days: int = 402) -> Any:
    ((made,),) = await world.sql(BATCH, key=key, state=state, days=days)
    return made


async def keys(world: World) -> list[Any]:
    return [key for (key,) in await world.sql("SELECT key FROM track.batch ORDER BY key")]


async def ended(world: World) -> list[Any]:
    asked = "SELECT ended_why FROM track.dispatcher WHERE ended_at IS NOT NULL ORDER BY 1"
    return [why for (why,) in await world.sql(asked)]


async def sweep_aged(
    world: World, folder: Path, *, dry_run: bool = False
) -> list[records.AgedRecords]:
    made = records.RecordsSweep(world.engine, folder, KEEP, dry_run)
    return [page async for page in made.aged_pages()]


async def test_a_batch_leaves_with_the_last_of_its_attempts_and_comes_back_with_it(
    engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    world = await old_world(engine, "g", "h")
    first, last, open_ = [await batch(world, key) for key in ("first", "last", "open")]
    await world.sql("UPDATE track.batch SET ended_at = NULL WHERE id = :id", id=open_)
    await world.sql(IN_BATCH, batch=first, guids=["g", "h"], n=1)
    await world.sql(IN_BATCH, batch=last, guids=["g", "h"], n=2)
    await world.sql("UPDATE track.asset SET finalised_at = now() WHERE guid = 'h'")
    (page,) = await sweep(world, tmp_path)
    assert page.old.leaving == ("g",) and await keys(world) == ["first", "last", "open"]
    before = await world.rows("SELECT * FROM track.batch WHERE key = 'first'")
    await world.sql(AGE, guid="h")
    (page,) = await sweep(world, tmp_path)
    assert page.old.leaving == ("h",) and await keys(world) == ["last", "open"]
    told = await restore(database, tmp_path / page.folder)
    assert told.endswith("1 of attempt, 1 of batch")
    assert await world.rows("SELECT * FROM track.batch WHERE key = 'first'") == before


async def test_a_batch_that_is_not_over_stays_without_its_attempts(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    world = await old_world(engine, "g")
    await world.sql(IN_BATCH, batch=await batch(world, "b"), guids=["g"], n=1)
    await world.sql("UPDATE track.batch SET ended_at = NULL, state = 'submitted'")
    await sweep(world, tmp_path)
    assert await keys(world) == ["b"]


async def test_what_no_asset_owns_leaves_by_its_own_age_unless_something_refers_to_it(
    engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    world = await old_world(engine, "g")
    await batch(world, "old", "refused")
    await batch(world, "young", "refused", days=399)
    await batch(world, "taken")  # it leaves with its attempts, as soon as it has any
    named = await batch(world, "named", "refused")
    await world.sql(IN_BATCH, batch=named, guids=["g"], n=2)
    for why, days in (("old", 402), ("young", 399), ("holds", 402)):
        await world.sql(DISPATCHER, why=why, days=days)
    await world.sql(HELD)
    held = {table: await world.rows(f"SELECT * FROM track.{table} ORDER BY id")
            for table in aged.TABLES}  # fmt: skip
    dry = await sweep_aged(world, tmp_path, dry_run=True)
    assert [(page.table, page.rows, page.folder) for page in dry] == [
        ("batch", 1, ""), ("dispatcher", 1, "")
    ]  # fmt: skip
    pages = await sweep_aged(world, tmp_path)
    assert [(page.table, page.rows) for page in pages] == [("batch", 1), ("dispatcher", 1)]
    assert await keys(world) == ["named", "taken", "young"]
    assert await ended(world) == ["holds", "young"]
    said = await world.sql("SELECT old, new FROM track.history WHERE what = :left", left=LEFT)
    assert [tuple(row) for row in said] == [(page.table, page.folder) for page in pages]
    assert await sweep_aged(world, tmp_path) == []
    for page in pages:
        told = await restore(database, tmp_path / page.folder)
        assert told.endswith(f"0 assets, rows put back: 1 of {page.table}")
        assert (await restore(database, tmp_path / page.folder)).endswith(f"0 of {page.table}")
    for table, rows in held.items():
        assert await world.rows(f"SELECT * FROM track.{table} ORDER BY id") == rows


@pytest.mark.parametrize("line", ["write_folder", "read_ids", "drop_aged"])
async def test_killed_before_the_commit_nothing_left_and_the_next_sweep_has_it_leave(
    line: str, engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await old_world(engine)
    await batch(world, "old", "refused")
    await world.sql(DISPATCHER, why="old", days=402)
    where: Any = aged if line == "drop_aged" else records
    real: Any = getattr(where, line)

    def die(*given: Any) -> None:
        real(*given)
        raise CutOff(line)

    async def die_at_last(*given: Any) -> None:
        await real(*given)
        raise CutOff(line)

    with monkeypatch.context() as patch, pytest.raises(CutOff):
        patch.setattr(where, line, die_at_last if line == "drop_aged" else die)
        await sweep_aged(world, tmp_path)
    assert (await keys(world), await ended(world)) == (["old"], ["old"])
    assert [page.rows for page in await sweep_aged(world, tmp_path)] == [1, 1]
    assert (await keys(world), await ended(world)) == ([], [])


async def test_pages_of_them_follow_one_another_and_killed_between_two_the_rest_goes_on(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "AGED_PAGE", 2)
    world = await old_world(engine)
    for n in range(5):
        await world.sql(DISPATCHER, why=f"d{n}", days=410 - n)
    dry = await sweep_aged(world, tmp_path, dry_run=True)
    assert [page.rows for page in dry] == [2, 2, 1] and len(await ended(world)) == 5
    with pytest.raises(CutOff):
        async for _page in records.RecordsSweep(engine, tmp_path, KEEP, False).aged_pages():
            raise CutOff
    assert await ended(world) == ["d2", "d3", "d4"]
    assert [page.rows for page in await sweep_aged(world, tmp_path)] == [2, 1]
    assert await ended(world) == []


async def test_rows_of_what_another_database_has_are_refused(
    engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    world = await old_world(engine)
    await world.sql(DISPATCHER, why="old", days=402)
    (page,) = await sweep_aged(world, tmp_path)
    for statement in ("DELETE FROM track.dispatcher", "DELETE FROM track.session"):
        await world.sql(statement)
    with pytest.raises(ValueError, match=r"dispatcher\.csv\.gz, session_id: .* not in this datab"):
        await restore(database, tmp_path / page.folder)


async def test_a_folder_of_before_batches_left_is_put_back_as_ever(
    engine: AsyncEngine, database: str, tmp_path: Path
) -> None:
    world = await old_world(engine, "g")
    (page,) = await sweep(world, tmp_path)
    folder = tmp_path / page.folder
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["files"] = [each for each in manifest["files"] if each["table"] != "batch"]
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert set(read_folder(folder)[1]) == {"history", "inbox", "attempt"}
    assert "1 of attempt" in await restore(database, folder)
